"""The configuration files are valid, and what is wrong in one is said in a line."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from snakemake.utils import update_config

from multiflow.base.errors import InputError
from multiflow.config import Config, check_files, documentation, load_config, read_overlays, write_configuration
from multiflow.methods.multiflow.settings import Network, Settings
from multiflow.results.published import published_methods
from multiflow.results.tables.context import table_context
from multiflow.results.tables.protocol import departures

CONFIG = Path(__file__).parents[2] / "config"
DOCS = CONFIG.parent / "docs"


def merged(*overlays: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("config.yaml", *overlays):
        update_config(values, yaml.safe_load((CONFIG / name).read_text()))
    return values


def changed(*overlays: str, **change: Any) -> Config:
    values = deepcopy(merged(*overlays))
    update_config(values, change)
    return load_config(values)


def settings_of(config: Config, experiment: str, class_name: str | None = None) -> Settings:
    settings = config.experiment(experiment, class_name).settings
    assert isinstance(settings, Settings)
    return settings


def test_the_paper_is_the_default() -> None:
    config = load_config(merged())
    assert len(config.dataset.classes) == 30
    assert len(config.seeds) == 5
    assert len(config.experiments) == 11
    experiment, settings = config.experiment("multiflow"), settings_of(config, "multiflow")
    training, network = settings.training, settings.network
    assert (training.epochs, training.learning_rate, training.betas) == (112, 2e-4, (0.9, 0.95))
    assert network.noise_std**2 == pytest.approx(0.15)
    assert (network.attention, network.transform_first, network.condition_scale) == ("paper", "second", 1.0)
    assert network.clamp_slope == pytest.approx(2 / math.pi)
    assert experiment.evaluation.sample_score == "max"
    foreground = experiment.foreground
    assert (foreground.to_grid, foreground.empty, foreground.background) == ("nearest", "foreground", "zero")


def test_the_released_code_stands_beside_the_paper() -> None:
    config = load_config(merged("released.yaml"))
    experiment, settings = config.experiment("released"), settings_of(config, "released")
    assert settings.training.epochs == 40
    assert settings.network.noise_std == 0.15
    assert experiment.evaluation.sample_score == "mean"
    assert experiment.foreground.to_grid == "bilinear"
    assert settings_of(config, "multiflow").training.epochs == 112
    assert config.table_methods == ["multiflow", "released"]
    # One set of features and segmentations serves both.
    assert experiment.needs == config.experiment("multiflow").needs
    assert experiment.segmentation == config.experiment("multiflow").segmentation


def test_the_released_code_of_cflow_stands_beside_it_with_its_choice_on_the_test_set() -> None:
    config = changed("released_cflow.yaml", experiments={"cflow": {"by_class": {"zipper": {"image_size": 128}}}})
    plain, released = config.experiment("cflow"), config.experiment("cflow_released", "zipper")
    assert plain.settings.image_size == 256
    assert released.settings.image_size == 128
    assert (plain.evaluation.select, plain.evaluation.aupro, plain.stages) == ("last", "exact", 0)
    assert (released.evaluation.select, released.evaluation.aupro, released.stages) == ("best_on_test", "linear", 24)
    assert released.settings.model_dump(exclude={"training"}) == plain.settings.model_copy(
        update={"image_size": 128, "maximum": "test", "score": "difference"}
    ).model_dump(exclude={"training"})
    assert (released.settings.training.coasting, released.settings.training.tf32) == (True, True)
    assert config.table_methods == ["cflow", "cflow_released"]


def test_demo_renders_its_data() -> None:
    config = load_config(merged("demo.yaml"))
    assert config.rendering is not None
    assert config.dataset.published is None
    assert len(config.seeds_of("multiflow")) >= 3
    assert set(config.experiments) == set(load_config(merged()).experiments)
    assert list(config.features) == ["lite0"]


def test_what_names_a_method_stands_in_the_tables_of_methods_without_another_word() -> None:
    config = load_config(merged("demo.yaml", "demo_baselines.yaml"))
    assert config.table_methods == ["multiflow", "cflow", "clscnf", "patchcore", "padim"]
    assert load_config(merged("demo.yaml")).table_methods == ["multiflow"]


def test_data_sets_of_one_view_have_settings_for_each_class() -> None:
    mvtec = changed("mvtec_ad.yaml", dataset={"published": None})
    sizes = {
        name: mvtec.experiment("cflow", name).settings.model_dump()["image_size"] for name in mvtec.dataset.classes
    }
    assert Counter(sizes.values()) == {512: 9, 256: 5, 128: 1}
    assert (sizes["transistor"], sizes["cable"], sizes["zipper"]) == (128, 256, 512)
    assert len(mvtec.runs) == 15 * 5
    btad = changed("btad.yaml", dataset={"published": None})
    training = [btad.experiment("cflow", name).settings.model_dump()["training"] for name in ("01", "02", "03")]
    assert [values["learning_rate"] for values in training] == [5e-5, 2e-5, 1e-4]
    assert {values["meta_epochs"] * values["sub_epochs"] for values in training} == {48}
    single = load_config(merged("demo_single_view.yaml"))
    assert single.table_methods == list(single.experiments) == ["multiflow", "cflow"]


def test_an_experiment_overrides_only_what_it_names() -> None:
    config = load_config(merged())
    base, other = settings_of(config, "multiflow"), settings_of(config, "no_cross_view")
    assert other.network.connections == "none"
    assert other.network.model_copy(update={"connections": "both"}) == base.network
    assert other.training == base.training
    assert config.experiment("with_background").foreground.method == "none"


def test_an_experiment_may_lie_over_another_and_differ_by_class() -> None:
    config = changed(
        "released.yaml",
        experiments={
            "mine": {
                "base": "released",
                "network": {"connections": "none"},
                "by_class": {"zipper": {"training": {"epochs": 7}}},
            }
        },
    )
    settings = settings_of(config, "mine", "usb")
    assert (settings.network.connections, settings.network.noise_std, settings.training.epochs) == ("none", 0.15, 40)
    assert config.experiment("mine").foreground == config.experiment("released").foreground
    assert settings_of(config, "mine", "zipper").training.epochs == 7
    assert settings_of(config, "mine", "zipper").network == settings.network


def test_baselines_stand_beside_their_published_columns_with_their_own_references() -> None:
    config = load_config(merged("baselines.yaml"))
    headings = {config.experiment(name).heading: config.experiment(name).reference for name in config.table_methods}
    columns = {own.published_heading for own in table_context(config).experiments.values()}
    published = set(published_methods("real-iad-multi-view"))
    assert columns - published == {"AD-CLSCNFs"}, "nobody has published it on these data"
    assert published - columns == {"DeSTSeg", "UniAD"}, "nobody has them here"
    assert "2106.08265" in headings["PatchCore"]
    assert "2011.08785" in headings["PaDiM"]
    assert all(config.seeds_of(name) == [0, 1, 2, 3, 4] for name in config.table_methods)
    own = ("written from the paper's equations (the authors' code)", "whole pictures (their middle)")
    assert departures(config, "softpatch") == (*own, "coreset_share 0.01 (0.1)")
    assert departures(config, "simplenet") == own
    library = f"code of anomalib {version('anomalib')} (the authors')"
    assert departures(config, "patchcore") == (
        library,
        "coreset_sampling_ratio 0.01 (the library's 0.1)",
        "whole pictures of 256 px (not compared)",
    )
    assert not any(text.startswith("n_features") for text in departures(config, "padim"))
    assert departures(config, "rd") == (
        library,
        "200 epochs in batches of 16 (not compared)",
        "whole pictures of 256 px (not compared)",
    )


def test_the_demo_has_baselines_on_the_packaged_network() -> None:
    profile = yaml.safe_load((CONFIG.parent / "profiles/demo/config.yaml").read_text(encoding="utf-8"))
    config = load_config(merged(*(name.removeprefix("config/") for name in profile["configfile"])))
    assert [config.experiment(name).heading for name in config.table_methods] == [
        "Multi-Flow", "CFLOW-AD", "AD-CLSCNFs", "PatchCore", "PaDiM"
    ]  # fmt: skip
    assert all(config.networks[name].weights == "package" for name in config.networks_read)


def test_experiments_that_differ_after_the_training_share_a_model() -> None:
    config = load_config(merged())
    assert config.trained_as("background_ignored", "usb", 0) == "multiflow"
    assert config.trained_as("no_cross_view", "usb", 0) == "no_cross_view"
    alone = changed(experiments={"multiflow": {"seeds": [0]}})
    assert alone.trained_as("background_ignored", "usb", 1) == "background_ignored"


def test_one_job_trains_seeds_that_are_all_an_experiments_own() -> None:
    paper = {"seeds_together": [0, 1]}
    config = load_config(merged() | paper)
    assert config.trained_together("multiflow") == [0, 1]
    assert config.trained_together("background_ignored") == [], "it trains nothing"
    assert load_config(merged()).trained_together("multiflow") == []
    fewer = merged() | paper
    for name, seeds in (("multiflow", [1, 2]), ("noise_none", [2, 1, 0])):
        fewer["experiments"][name] = {**fewer["experiments"][name], "seeds": seeds}
    config = load_config(fewer)
    assert (config.trained_together("multiflow"), config.trained_together("noise_none")) == ([], [0, 1])
    # It shares the training of seed 1 with the first experiment, and of seed 0 with none.
    assert config.trained_together("background_ignored") == []


def test_an_overlay_changes_neither_the_first_experiment_nor_the_first_method() -> None:
    overlay = {"experiments": {"background_ignored": {"seeds": [0]}, "mine": {}}, "methods": {"cflow": {}}}
    as_snakemake_merges = deepcopy(overlay)
    for block, values in merged().items():
        if block in overlay:
            as_snakemake_merges[block] |= {key: value for key, value in values.items() if key not in overlay[block]}
        else:
            as_snakemake_merges[block] = values
    assert next(iter(as_snakemake_merges["experiments"])) == "background_ignored", "the test merges in another order"
    config = load_config(as_snakemake_merges)
    assert next(iter(config.experiments)) == "multiflow"
    assert config.experiment("mine").method_name == "multiflow"
    assert list(config.experiments)[-2:] == ["background_ignored", "mine"]
    assert config.table_methods == ["multiflow"]


def test_a_derived_experiments_own_change_comes_after_its_bases_changes_by_class() -> None:
    values = merged()
    update_config(values, {"experiments": {
        "short": {"by_class": {"usb": {"training": {"epochs": 3}}}, "heading": "Short", "seeds": [7]},
        "long": {"base": "short", "training": {"epochs": 9}},
    }})  # fmt: skip
    config = load_config(values)
    epochs = {
        (name, class_name): config.experiment(name, class_name).settings.training.epochs  # type: ignore[attr-defined]
        for name in ("short", "long")
        for class_name in ("usb", "toy")
    }
    assert epochs == {("short", "usb"): 3, ("short", "toy"): 112, ("long", "usb"): 9, ("long", "toy"): 9}
    assert config.experiment("long").heading == "Multi-Flow"
    assert config.seeds_of("long") == config.seeds
    assert config.by_class_of("long") == ["usb"]


def test_a_configuration_is_written_under_a_name_of_its_own_and_read_back(tmp_path: Path) -> None:
    first = write_configuration(merged("demo.yaml"), tmp_path)
    other = write_configuration(merged(), tmp_path, latest=True)
    assert first != other
    assert load_config(read_overlays([first])) == load_config(merged("demo.yaml"))
    assert load_config(read_overlays([tmp_path / "configuration.yaml"])) == load_config(merged())
    assert list(load_config(read_overlays([first])).experiments) == list(load_config(merged()).experiments), (
        "the first experiment is the one that is shown"
    )
    assert write_configuration(merged("demo.yaml"), tmp_path) == first
    assert load_config(read_overlays([tmp_path / "configuration.yaml"])) == load_config(merged()), "it stays"


def test_a_key_that_snakemake_has_dropped_is_a_mistake(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.yaml", "b.yaml", "c.json", "absent.yaml")]
    for path, text in zip(paths, ("run: a", "run: a\nrun: b", '{\n\t"run": "a"}'), strict=False):
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        check_files(paths)
    assert caught.value.problems == [
        f"{paths[1]}: line 2: expected the key run once, found it in line 1, too; keep one"
    ]
    check_files([paths[0], *paths[2:]])
    twice = tmp_path / "twice.json"
    twice.write_text('{"run": "a", "run": "b"}')
    with pytest.raises(InputError, match="run"):
        check_files([twice])


def test_a_key_that_was_added_reruns_nothing_while_it_has_its_default() -> None:
    config = load_config(merged())
    fast = load_config(merged("fast.yaml"))

    def decided(config: Config) -> dict[str, Any]:
        return json.loads(json.dumps(config.decided_by(config.experiment("multiflow"))))

    def keys(value: Any) -> set[str]:
        return {*value, *(key for own in value.values() for key in keys(own))} if isinstance(value, dict) else set()

    added = {"channels_last", "draw_noise"}
    assert keys(decided(config)) & added == set()
    assert keys(decided(fast)) & added == added
    assert decided(fast)["segmentation"]["channels_last"] is True


def test_a_null_of_the_command_line_is_one() -> None:
    # As Snakemake reads `--config rendering=null 'dataset={flips: null}' 'experiments={self_attention: null}'`.
    given = {"rendering": "null", "dataset": {"root": "x", "flips": "null"}, "experiments": {"self_attention": "null"}}
    config = changed("demo.yaml", **given)
    assert (config.rendering, config.dataset.flips) == (None, None)
    assert "self_attention" not in config.experiments


def test_paths_of_a_configuration_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    config = changed(
        dataset={"root": "$SCRATCH/Real-IAD", "flips": "${SCRATCH}/flips.csv"},
        segmentation={"weights": "$SCRATCH/Model_80.pth"},
        features={"b5": {"weights": "$SCRATCH/b5.pth"}},
    )
    assert (config.root, config.dataset.flips) == (Path("/scratch/me/Real-IAD"), "/scratch/me/flips.csv")
    assert (config.segmentation.weights, config.features["b5"].weights) == (
        "/scratch/me/Model_80.pth",
        "/scratch/me/b5.pth",
    )


def test_class_names_that_yaml_reads_as_numbers_get_their_digits_back(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "dataset: {layout: btad, cameras: [C1], classes: [01, 02, '03'], flips: null, published: null}\n"
        "experiments: {multiflow: {classes: [02], by_class: {02: {training: {epochs: 3}}}}}\n"
    )
    values = merged()
    update_config(values, read_overlays([overlay]))
    config = load_config(values)
    assert config.dataset.classes == ["01", "02", "03"]
    assert config.classes_of("multiflow") == ["02"]
    assert settings_of(config, "multiflow", "02").training.epochs == 3
    # Also by the file from which a run's tables are made again.
    again = load_config(read_overlays([write_configuration(values, tmp_path)]))
    assert settings_of(again, "multiflow", "02").training.epochs == 3


def test_an_overlay_drops_an_experiment_with_null() -> None:
    assert "self_attention" not in changed(experiments={"self_attention": None}).experiments


TWO_WEIGHTS = {"b5_again": {"backbone": "tf_efficientnet_b5.aa_in1k", "weights": "b5.pth"}}
CIRCLE = {"one": {"base": "two"}, "two": {"base": "one"}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"methods": {"multiflow": {"training": {"epochs": 0}}}},
            "methods.multiflow.training.epochs: input should be greater than or equal to 1, found 0",
        ),
        ({"methods": {"multiflow": {"network": {"bloks": 4}}}}, "methods.multiflow.network.bloks: unknown key"),
        ({"methods": {"multiflow": {"network": {"blocks": 4}}}}, "kernels has 6 entries, blocks is 4"),
        ({"methods": {"multiflow": {"network": {"kernels": [3, 3, 3, 3, 3, 4]}}}}, "must be odd"),
        ({"methods": {"multiflow": {"training": {"betas": [2, 3]}}}}, "training.betas.0: input should be less than 1"),
        (
            {"methods": {"multiflow": {"network": {"noise_std": float("inf")}}}},
            "network.noise_std: input should be a finite number",
        ),
        ({"run": None}, "run: input should be a valid string, found None"),
        ({"run": "../elsewhere"}, "run: string should match pattern"),
        ({"tables": {"method": ["multiflow"]}}, "tables.method: unknown key; docs/keys.md lists the keys"),
        ({"dataset": {"root": "$NOT_SET/x"}}, "dataset.root: $NOT_SET/x: the variable NOT_SET is not set; export it"),
        ({"dataset": {"root": None}}, "set exactly one of dataset.root"),
        ({"dataset": {"layout": "unreal_iad"}}, "dataset.layout: there is no layout unreal_iad; there are real_iad"),
        ({"experiments": {"mine": {"network": {"fusion": "sum"}}}}, "experiments.mine.network.fusion: input should be"),
        ({"experiments": {"mine": {"netwrok": {}}}}, "experiments.mine.netwrok: unknown key"),
        ({"experiments": {"mine": {"classes": ["moon"]}}}, "experiments.mine.classes: moon not in dataset.classes"),
        (
            {"experiments": {"mine": {"by_class": {"moon": {"scale": 2.0}}}}},
            "experiments.mine.by_class: moon not in dataset.classes; to run some classes only, set",
        ),
        (
            {"experiments": {"mine": {"by_class": {"usb": {"scaling": "wide"}}}}},
            "experiments.mine.by_class.usb.scaling: input should be 'none', 'constant' or 'standardize', found 'wide'",
        ),
        (
            {"experiments": {"mine": {"foreground": {"background": "ignored", "empty": "background"}}}},
            "background: ignored with empty: background leaves a view without foreground without any score",
        ),
        (
            {"experiments": {"mine": {"evaluation": {"ground_truth_size": 64}}}},
            "experiments.mine.evaluation.ground_truth_size: the ground truth is read once per run",
        ),
        ({"experiments": {"mine": {"method": "padim"}}}, "experiments.mine.method: there is no padim; give one of mu"),
        (
            {"experiments": {"mine": {"method": "my_lab.detector:Detector"}}},
            "experiments.mine.method: my_lab.detector:Detector: cannot be imported (ModuleNotFoundError: No module",
        ),
        (
            {"experiments": {"mine": {"method": "my_lab/detector.py:Detector"}}},
            "experiments.mine.method: my_lab/detector.py:Detector: cannot be imported (FileNotFoundError: no file ",
        ),
        (
            {"experiments": {"mine": {"method": "multiflow.methods:Detector"}}},
            "experiments.mine.method: multiflow.methods:Detector: ",
        ),
        (
            {"experiments": {"mine": {"method": "multiflow.config:Config"}}},
            "method: multiflow.config:Config: expected a class with heading, reference, Settings, needs, train, scorer",
        ),
        (
            {"seeds_together": [0, 9]},
            "seeds_together: expected seeds that an experiment trains, found 0, 9, and no experiment that trains all",
        ),
        ({"experiments": {"mine": {"base": "released"}}}, "experiments.mine.base: there is no experiment released"),
        ({"experiments": CIRCLE}, "experiments.one.base: one is based on two is based on one; break the circle"),
        (
            {"tables": {"methods": ["multiflow", "cflow"]}},
            "tables.methods: there is no experiment cflow; there are ",
        ),
        (
            {"experiments": {"mine": {"features": "b6"}}},
            "experiments.mine: its method needs the features b6; the run's features block has b5",
        ),
        (
            {"features": TWO_WEIGHTS},
            "features.b5_again: found weights: b5.pth for tf_efficientnet_b5.aa_in1k, and hub for the same ",
        ),
        ({"seeds": [0, 0]}, "seeds: found 0 more than once"),
        ({"seeds": [-1]}, "seeds.0: input should be greater than or equal to 0"),
        ({"seeds": []}, "seeds: list should have at least 1 item"),
        ({"experiments": {"mine": {"seeds": []}}}, "experiments.mine.seeds: value should have at least 1 item"),
        ({"dataset": {"cameras": ["C1", "C1"]}}, "dataset.cameras: found C1 more than once"),
        ({"dataset": {"cameras": ["C1"]}}, "dataset.published: real-iad-multi-view stands only beside the same data"),
        ({"dataset": {"annotations": "realiad_jsons_sv"}}, "with dataset.annotations: realiad_jsons; found realiad_js"),
        ({"dataset": {"classes": ["pcb", "mine"]}}, "dataset.classes: those of real-iad-multi-view; found mine"),
    ],
)
def test_mistakes_are_one_line_with_their_place(change: dict[str, Any], expected: str) -> None:
    values = deepcopy(merged())
    update_config(values, change)
    with pytest.raises(InputError) as caught:
        load_config(values, "config/config.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith("config/config.yaml: ")
    assert expected in problem
    assert "\n" not in problem


def test_rendering_has_its_own_layout() -> None:
    with pytest.raises(InputError, match=r"dataset.image_folder: expected realiad_512 .* found realiad_384"):
        changed("demo.yaml", rendering={"image_size": 512})
    with pytest.raises(
        InputError, match=r"dataset.layout: expected mvtec with rendering.layout mvtec .* found real_iad"
    ):
        changed("demo_single_view.yaml", dataset={"layout": "real_iad"})
    with pytest.raises(InputError, match=r"dataset.flips: expected null .* found config/view_flips.csv"):
        changed("demo_single_view.yaml", dataset={"flips": "config/view_flips.csv"})


def test_schema_and_key_tables_are_up_to_date() -> None:
    assert (CONFIG / "schema.json").read_text() == documentation.schema(), "run `make schema`"
    assert (DOCS / "keys.md").read_text(encoding="utf-8") == documentation.key_tables(), "run `make schema`"


def complaints(values: dict[str, Any]) -> list[str]:
    schema = json.loads(documentation.schema())
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    return [error.message for error in validator(schema).iter_errors(values)]


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_an_editor_accepts_the_configuration_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert complaints(yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"methods": {"multiflow": {"network": {"bloks": 4}}}},
        {"methods": {"multiflow": {"training": {"epochs": 0}}}},
        {"features": {"b5": {"size": 3}}},
        {"experiments": {"mine": {"foreground": {"method": "sam"}}}},
        {"keep": {"flows": True}},
    ],
)
def test_an_editor_marks_mistakes_and_methods_of_ones_own_are_none(values: dict[str, Any]) -> None:
    assert complaints(values)
    assert complaints({"methods": {"my_lab.detector:Detector": {"neighbours": 5}}, "features": {"b5": None}}) == []


def all_keys() -> dict[str, str]:
    """Descriptions of all keys, by their place in YAML."""
    keys = {name: field.description or "" for name, field in Config.model_fields.items()}
    for place, model in documentation.blocks().items():
        keys |= {f"{place}.{name}": field.description or "" for name, field in model.model_fields.items()}
    return keys


def test_every_key_is_documented_in_its_table() -> None:
    page = (DOCS / "keys.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(.+?)`\n(.+?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(documentation.blocks())
    assert {"features.<name>", "experiments.<name>", "methods.multiflow.network"} <= set(sections)
    for key, description in all_keys().items():
        place, _, name = key.rpartition(".")
        assert description, key
        # Blocks have a section of their own.
        assert key in sections or place == "" or f"| `{name}` | " in sections[place], key
    assert "| `connections` | `both`, `top`, `neighbors`, `none` | `both` | " in sections["methods.multiflow.network"]
    assert len(Network.model_fields) == sections["methods.multiflow.network"].count("\n| `")


def fidelity_rows() -> dict[int, str]:
    """The last column of the table of the 36 differences, by number."""
    text = (DOCS / "fidelity.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    return {int(row.split("|")[1]): row.split("|")[5].strip() for row in rows}


def test_every_difference_is_a_key_a_slip_or_none() -> None:
    rows, keys = fidelity_rows(), all_keys()
    assert sorted(rows) == list(range(1, 37))
    for number, text in rows.items():
        kind = re.match(r"\*\*(key|slip|silent|same)\*\*", text)
        assert kind, f"row {number}: {text}"
        named = [name for name in re.findall(r"`([a-z_.<>0-9]+)`", text) if name in keys]
        assert named or kind[1] != "key", f"row {number} names no key"
        if kind[1] == "slip":
            assert len(text) > 30, f"row {number} gives no reason"
    for name, description in keys.items():
        for number in re.findall(r"Fidelity (\d+)", description):
            assert f"`{name}`" in rows[int(number)], f"row {number} does not name {name}"


def test_keys_that_are_named_in_the_table_of_differences_exist() -> None:
    keys, text = all_keys(), (DOCS / "fidelity.md").read_text(encoding="utf-8")
    tops = "|".join(Config.model_fields)
    named = [*re.findall(rf"`((?:{tops})\.[a-z_.<>0-9]+)`", text), *re.findall(rf"`((?:{tops})\.[a-z_]+):", text)]
    assert len(named) > 20
    assert set(named) <= set(keys)


def test_the_released_protocol_sets_what_differs() -> None:
    """Each key of the experiment `released` is named by a row and differs from the paper's default."""
    changes = yaml.safe_load((CONFIG / "released.yaml").read_text(encoding="utf-8"))["experiments"]["released"]
    config, rows = load_config(merged()), fidelity_rows()
    experiment, settings = config.experiment("multiflow"), settings_of(config, "multiflow")
    places: dict[str, tuple[Any, str]] = {
        "foreground": (experiment.foreground, "foreground"),
        "evaluation": (experiment.evaluation, "evaluation"),
        "network": (settings.network, "methods.multiflow.network"),
        "training": (settings.training, "methods.multiflow.training"),
    }
    assert set(changes) == {"heading", *places}
    for block, (default, place) in places.items():
        for name, value in changes[block].items():
            assert getattr(default, name) != value, name
            assert any(f"`{place}.{name}`" in row for row in rows.values()), name


def test_what_the_rules_read_at_every_start_loads_no_heavy_library() -> None:
    """Each job on a cluster reads the rules twice before it starts, and so does each look at what is to be done."""
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (CONFIG.parent / "workflow/rules").glob("*.smk"))
    modules = sorted(set(re.findall(r"^from (multiflow\S*) import", rules, re.MULTILINE)))
    assert len(modules) > 5
    code = f"""
import sys, yaml, {", ".join(modules)}
run = multiflow.config.load_config(yaml.safe_load(open("config/config.yaml")))
assert len(run.trained_runs) == 1500
print({{"torch", "numpy", "pandas", "PIL", "h5py", "sklearn", "timm"}} & set(sys.modules))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=CONFIG.parent, env={"PYTHONPATH": "src"}, capture_output=True, text=True
    )
    assert found.stdout == "set()\n", found.stdout + found.stderr


def test_a_rule_of_a_whole_block_is_named_by_the_block() -> None:
    with pytest.raises(InputError) as caught:
        changed(experiments={"mine": {"method": "anomalib", "model": "Patchcor"}})
    assert caught.value.problems[0].startswith("config: experiments.mine: model: anomalib has no Patchcor (did")
