"""Train a small Llama, built from a config, on the Python reference manual with the Hugging Face Trainer."""

import functools
from pydoc_data.topics import topics

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed

block_size = 64
max_steps, seed, output_dir = 300, 42, "output"


@functools.cache
def load_text():
    """Blocks of characters: nine of ten to train on, every tenth to evaluate on."""
    text = "\n".join(topics[key] for key in sorted(topics))
    codes = {character: code for code, character in enumerate(sorted(set(text)))}
    data = torch.tensor([codes[character] for character in text])
    blocks = data[: len(data) // block_size * block_size].view(-1, block_size)
    rows = [{"input_ids": block, "labels": block} for block in blocks]
    return [row for index, row in enumerate(rows) if index % 10], rows[::10][:64], len(codes)


def main():
    set_seed(seed)
    train_rows, val_rows, vocab_size = load_text()
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    arguments = TrainingArguments(
        output_dir=output_dir,
        max_steps=max_steps,
        seed=seed,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=30,
        weight_decay=0.1,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        per_device_eval_batch_size=64,
        eval_strategy="steps",
        eval_steps=50,
        logging_steps=50,
        save_steps=100,
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(model=LlamaForCausalLM(config), args=arguments, train_dataset=train_rows, eval_dataset=val_rows)
    trainer.train()


if __name__ == "__main__":
    main()
