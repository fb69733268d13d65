"""What the commands say of mistakes and interrupts."""

import pytest

from resight.cli.main import main


@pytest.mark.parametrize(
    ("words", "function", "resumes"),
    [
        (["demo", "--folder=x"], "resight.cli.demo.synthesize", False),
        (["train", "ice", "--data=folder=x", "--run=x"], "resight.cli.train.open_dataset", True),
    ],
)
def test_an_interrupt_promises_only_what_is_so(words, function, resumes, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(function, interrupt)
    assert main(words) == 130
    assert ("rerun the same command to resume" in capsys.readouterr().err) == resumes


def test_an_encoder_that_is_named_takes_no_settings(run, capsys):
    folder = str(run[0])
    assert main(["evaluate", folder, "--data=/nowhere", "--encoder.height=64"]) == 2
    assert "--encoder" in capsys.readouterr().err
    assert main(["search", "x.jpg", "--data=/nowhere", str(folder), "--encoder.height=64"]) == 2
    assert "--encoder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "ise"], "did you mean 'ice'"),
        (["train", "ice"], "--data"),
        (["train", "ice", "--data=/nowhere"], "/nowhere"),
        (["train", "ice", "--cluster.epss=1"], "did you mean '--cluster.eps'"),
        (["train", "ice", "--config=sites"], "did you mean 'site'"),
        (["train", "scr", "--data=x", "--tracklet.poling=max"], "did you mean '--tracklet.pooling'"),
        (["evaluate", "--data=x", "--tracklet.num_frames=0"], "must be 1 or more, found 0"),
        (["evaluate", "--data=x", "--tracklet.sampling=evn"], "even"),
        (["evaluate", "--data=x", "--validation_people=-3"], "validation_people must be 0 or more, found -3"),
        (["evaluate", "/nowhere", "--data=/nowhere"], "no encoder at"),
        (["evaluate", "--data=x", "--flip", "maybe"], "--flip takes true, false or no value, found 'maybe'"),
        (["evaluate", "--data=x", "--flip=maybe"], "--flip must be true or false, found 'maybe'"),
        (["evaluate", "--data=x", "--encoder.weights=ImageNet"], "no weights at 'ImageNet'; did you mean 'imagenet'?"),
        (["search", "/nowhere.jpg", "--data=/nowhere"], "/nowhere.jpg"),
        (["adapt"], "needs images: --data folder=CROPS"),
        (["adapt", "--from=/nowhere"], "--data folder=CROPS"),
        (["adapt", "--from=/nowhere", "--data=/nowhere"], "no encoder at"),
        (["adapt", "--from", "--data=/nowhere"], "--from needs a model: a run folder"),
        (["adapt", "--data=/nowhere", "--from"], "--from needs a model: a run folder"),
        (["adapt", "--data=/nowhere", "--from=a", "--start=b"], "--start is called --from now"),
        (["adapt", "--data=/nowhere", "--from=a", "--from", "b"], "--from is given twice, as 'a' and as 'b'"),
        (["adapt", "--from=x", "--data=x", "--encoder.height", "128"], "leave out --encoder.height"),
        (["adapt", "--from=x", "--data=x", "--encoder.head-width=128"], "leave out --encoder.head-width"),
        (["train", "abmt", "--data=/nowhere", "--source=/nowhere"], "/nowhere"),
        (["data", "look", "x"], "info, verify, merge, synthesize"),
        (["data", "info"], "needs a folder"),
        (["data", "synthesize"], "a folder to draw into"),
        (["data", "synthesize", "x", "--crops=1"], "people_test"),
        (["quux"], "'quux' (known: "),
        (["train", "quux"], "'quux' (known: "),
        (["train", "ice", "--config=/nowhere/site.yaml"], "no recipe"),
    ],
)
def test_a_mistake_gets_one_line_that_says_what_to_do(words, hint, capsys):
    assert main(words) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1
    assert "Traceback" not in message
