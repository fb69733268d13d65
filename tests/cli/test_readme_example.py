"""The example of the README runs."""

import re
import shutil
from pathlib import Path


def test_the_readme_example_runs(people, tmp_path, monkeypatch, capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").symlink_to(people / "bounding_box_train")
    shutil.copy(next((people / "query").iterdir()), tmp_path / "QUERY.jpg")
    code = code.replace('"PATH"', repr(str(people))).replace("epochs=5", "epochs=1, iterations=1, identities=4")
    code = code.replace("identities=4", "identities=4, camera_aware=False, cluster={'k1': 8}, ghost_batches=2")
    small = "encoder={'height': 64, 'width': 32}, device={'accelerator': 'cpu'}"
    exec(compile(code.replace("ghost_batches=2", f"ghost_batches=2, {small}"), "README.md", "exec"), {})
    score, *rest = capsys.readouterr().out.split("\n", 1)
    assert 0 < float(score) <= 1
    assert rest[0].count(".jpg") == 10
