"""What was meant by a name that is no setting: usual words for ours, the last part of a name, and what is near."""

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
"""For settings, or several that say it together, the words by which other programs call them.

A word with a group is for names that end so, one without for any group that is not one of ours.
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
"""For choices, the words by which other programs call them."""

_SAID = {"resume": " (the same command goes on where a run was stopped)"}
"""What is to be said beside the setting that was meant."""


def hint(name: str, known: Iterable[str], *, dashes: str = "") -> str:
    """Find what is meant by a name that is no setting.

    Args:
        name: What was written, without dashes.
        known: The dotted names that there are.
        dashes: What stands before a name.

    Returns:
        Settings of the same last part, else what is usually called so, else the nearest; empty where nothing is near.
    """
    names, word = [*known, *(["config"] if dashes else [])], name.lower().replace("-", "_")
    if (new := SETTINGS.get(word, "")) in names:
        return f"'{dashes}{new}', as it is called now"
    group, _, last = word.rpartition(".")
    alike = [each for each in names if each.rpartition(".")[2] == last]
    usual = _usual(group, last, names)
    lasts = {each.rpartition(".")[2]: each for each in reversed(names)}
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    near = [each for each in near if difflib.get_close_matches(last, [each.rpartition(".")[2]], cutoff=0.5)]
    close = [lasts[each] for each in difflib.get_close_matches(last, lasts, n=1, cutoff=0.75)]
    meant = next(
        (found for found in ([group] if group in names else [], alike[:3], usual[:1], near[:1], close) if found), []
    )
    flags = {setting: flag for flag, setting in FLAGS.items()} if dashes else {}
    text = " or ".join(" and ".join(f"'{dashes}{flags.get(each, each)}'" for each in one.split()) for one in meant)
    return text + _SAID.get(last, "") if text else ""


def _usual(group: str, last: str, names: Sequence[str]) -> list[str]:
    """Find what other programs call by the last part of a name, in its group where that is one of ours."""
    known = {each: words.split() for each, words in _USUAL.items() if set(each.split()) <= set(names)}
    pair = f"{group.rpartition('.')[2]}.{last}"
    if paired := [each for each, words in known.items() if pair in words]:
        return paired
    inside = f"{group}." if any(each.startswith(f"{group}.") for each in names) else ""
    if group and last == "name":  # of whatever the group is, and not of a run
        return []
    return [each for each, words in known.items() if last in words and each.startswith(inside)]


def choice(text: str, known: Sequence[str]) -> str:
    """Say which of the choices of a setting is meant by another word; empty where none is near."""
    word = text.lower()
    usual = [each for each, words in _VALUES.items() if each in known and word in words.split()]
    return f"; did you mean '{usual[0]}'?" if usual else nearest(word, known)


def unknown(names: Sequence[str], known: Iterable[str], *, dashes: str = "") -> str:
    """Say of names that they are no settings, and what was meant."""
    listed = list(known)
    found = [(f"{dashes}{shortened(name, 60)}", hint(name, listed, dashes=dashes)) for name in names]
    if len(found) == 1:
        ((name, meant),) = found
        return f"{name} is not a setting" + (f"; did you mean {meant}?" if meant else "")
    told = [f"{name} (did you mean {meant}?)" if meant else name for name, meant in found[:10]]
    more = f" and {len(found) - 10:,} more" if len(found) > 10 else ""
    return f"{', '.join(told)}{more} are no settings"
