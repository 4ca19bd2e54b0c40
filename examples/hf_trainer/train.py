"""Train a small Llama, built from a config, on the Python reference manual with the Hugging Face Trainer."""

import functools
from pydoc_data.topics import topics

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from tuner.integrations.huggingface import attach, last_checkpoint, training_arguments
from tuner.sdk import run as tuner_run

LENGTH = 64


@functools.cache
def load_text():
    """Blocks of characters: nine of ten to train on, every tenth to evaluate on."""
    text = "\n".join(topics[key] for key in sorted(topics))
    codes = {character: code for code, character in enumerate(sorted(set(text)))}
    data = torch.tensor([codes[character] for character in text])
    blocks = data[: len(data) // LENGTH * LENGTH].view(-1, LENGTH)
    rows = [{"input_ids": block, "labels": block} for block in blocks]
    return [row for index, row in enumerate(rows) if index % 10], rows[::10][:64], len(codes)


def main(run):
    train_rows, val_rows, vocabulary = load_text()
    torch.manual_seed(run.seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    arguments = TrainingArguments(
        **training_arguments(run),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        per_device_eval_batch_size=64,
        save_steps=100,
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=run.device == "cpu",
    )
    trainer = Trainer(model=LlamaForCausalLM(config), args=arguments, train_dataset=train_rows, eval_dataset=val_rows)
    attach(trainer, run)
    trainer.train(resume_from_checkpoint=last_checkpoint(run))


if __name__ == "__main__":
    main(tuner_run(total_steps=300))
