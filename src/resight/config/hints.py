"""Hints for unknown settings: other programs' names, names with the same last part, and similar names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from resight.config.renamed import FLAGS, SETTINGS
from resight.errors import nearest
from resight.files import shortened

_USUAL = {
    "data": "dataset datasets root path data_dir data_path data_root dataset_dir folder dir d input images_dir gallery "
    "target target_dataset dataset_target train_dir crops",
    "source": "source_dataset dataset_source src",
    "run": "output out output_dir out_dir save_dir save_path save log_dir logs_dir logdir work_dir exp experiment name "
    "exp_name result_dir results",
    "out": "output output_dir out_dir save_dir save",
    "ranked_list": "output out save picture visrank",
    "page": "output out report html save",
    "start": "model checkpoint resume ckpt init load load_from load_weights from init_1 from_model pretrained_model",
    "encoder": "model checkpoint resume ckpt load load_weights from run",
    "epochs": "epoch num_epochs max_epoch max_epochs n_epochs epoch_num total_epochs",
    "iterations": "iters iter max_iter max_iters steps num_iters steps_per_epoch",
    "passes": "num_passes repeats rounds",
    "learning_rate": "lr base_lr init_lr rate",
    "weight_decay": "wd decay l2 weight_decay_rate",
    "momentum": "ema ema_momentum alpha ema_decay",
    "warmup_epochs": "warmup warm_up warmup_epoch warmup_step",
    "milestones": "stepsize step_size lr_step",
    "label_smoothing": "smoothing smooth eps_ls",
    "clip": "grad_clip clip_grad max_grad_norm",
    "identities images": "batch batch_size bs b batchsize train_batch train_batch_size ims_per_batch",
    "identities": "num_identities num_ids ids people p classes",
    "images": "num_instances num_instance instances k_instances num_images",
    "cluster.eps": "eps epsilon dbscan_eps eps_gap threshold",
    "cluster.min_samples": "min_points min_pts minpts min_sample",
    "cluster.num_clusters": "num_clusters n_clusters clusters num_cluster",
    "cross_temperature": "temp temperature tau t",
    "encoder.backbone": "arch architecture backbone network net model_name a model backbone.name encoder.name "
    "model.name",
    "encoder.weights": "pretrained pretrain pretrained_path imagenet pretrain_path",
    "encoder.height encoder.width": "img_size image_size size input_size imgsz resolution",
    "encoder.height": "h img_height",
    "encoder.width": "w img_width",
    "encoder.head_width": "features num_features feature_dim embed_dim dim",
    "augment.erase": "random_erasing re erasing erase_prob",
    "device.accelerator": "device.name device.type device gpu gpus gpu_ids device_id device_ids cuda cpu "
    "use_cpu use_gpu no_cuda gpu_id gpu_devices",
    "device.processes": "nproc world_size num_gpus nproc_per_node ngpus",
    "device.training": "fp16 amp half bf16 precision dtype mixed_precision",
    "device.threads": "workers num_workers j jobs n_jobs num_threads loaders",
    "validation_people": "val validation valid val_people n_val",
    "eval_every": "eval_step eval_freq eval_interval eval_period evaluate val_freq",
    "k": "topk top_k top n num number limit rank max_rank results",
    "rerank": "re_ranking reranking re_rank",
    "seed": "random_seed manual_seed",
    "config": "cfg config_file recipe yaml config_path conf yml",
}
"""For each setting, or for several that together replace one, its names in other programs.

A name with a group stands for names that end with both; a name without a group for names in any group but ours.
"""

_VALUES = {
    "cuda": "gpu gpus nvidia",
    "average": "avg mean",
    "bfloat16": "bf16 fp16 float16 half amp mixed",
    "float32": "fp32 float full",
    "thesis": "paper text",
    "code": "released original",
    "none": "null false no",
    "stability": "best auto",
}
"""For each choice, its names in other programs."""

_ADVICE = {"resume": " (rerun the same command to resume an interrupted run)"}
"""What to add to the hint for some names."""


def hint(name: str, settings: Iterable[str], *, dashes: str = "") -> str:
    """Return the settings that a user may mean by an unknown name.

    Args:
        name: The unknown name, without dashes.
        settings: The dotted names of all settings.
        dashes: The prefix of a name in the hint.

    Returns:
        Settings with the same last part, else those that other programs call so, else the most similar ones; empty if
        there are none.
    """
    names, word = [*settings, *(["config"] if dashes else [])], name.lower().replace("-", "_")
    if (new := SETTINGS.get(word, "")) in names:
        return f"'{dashes}{new}', as it is called now"
    group, _, last = word.rpartition(".")
    same_last = [setting for setting in names if setting.rpartition(".")[2] == last]
    synonyms = _find_synonyms(group, last, names)
    by_last = {setting.rpartition(".")[2]: setting for setting in reversed(names)}
    similar = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    similar = [name for name in similar if difflib.get_close_matches(last, [name.rpartition(".")[2]], cutoff=0.5)]
    similar_last = [by_last[part] for part in difflib.get_close_matches(last, by_last, n=1, cutoff=0.75)]
    candidates = ([group] if group in names else [], same_last[:3], synonyms[:1], similar[:1], similar_last)
    meant = next(filter(None, candidates), [])
    flags = {setting: flag for flag, setting in FLAGS.items()} if dashes else {}
    text = " or ".join(" and ".join(f"'{dashes}{flags.get(part, part)}'" for part in key.split()) for key in meant)
    return text + _ADVICE.get(last, "") if text else ""


def _find_synonyms(group: str, last: str, names: Sequence[str]) -> list[str]:
    """Return the settings that other programs call by the last part of a name, in its group if that is one of ours."""
    words_of = {key: words.split() for key, words in _USUAL.items() if set(key.split()) <= set(names)}
    pair = f"{group.rpartition('.')[2]}.{last}"
    if paired := [key for key, words in words_of.items() if pair in words]:
        return paired
    prefix = f"{group}." if any(name.startswith(f"{group}.") for name in names) else ""
    if group and last == "name":  # the name of whatever the group is, not of a run
        return []
    return [key for key, words in words_of.items() if last in words and key.startswith(prefix)]


def choice(text: str, choices: Sequence[str]) -> str:
    """Return a hint at the choice of a setting that a user may mean by another word; empty if none is similar."""
    word = text.lower()
    synonyms = [value for value, words in _VALUES.items() if value in choices and word in words.split()]
    return f"; did you mean '{synonyms[0]}'?" if synonyms else nearest(word, choices)


def unknown(names: Sequence[str], settings: Iterable[str], *, dashes: str = "") -> str:
    """Return the error message for names that are no settings, with hints."""
    setting_names = list(settings)
    hints = [(f"{dashes}{shortened(name, 60)}", hint(name, setting_names, dashes=dashes)) for name in names]
    if len(hints) == 1:
        ((name, meant),) = hints
        elsewhere = "; --help_all lists all" if dashes else ""
        return f"{name} is not a setting" + (f"; did you mean {meant}?" if meant else elsewhere)
    texts = [f"{name} (did you mean {meant}?)" if meant else name for name, meant in hints[:10]]
    more = f" and {len(hints) - 10:,} more" if len(hints) > 10 else ""
    return f"{', '.join(texts)}{more} are no settings"
