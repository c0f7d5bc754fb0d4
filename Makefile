# Everything runs in .venv, a link to an environment that is installed once per lock file.
.PHONY: help demo inspect tables cite plan test test-slurm lint bench bench-gpu env lock schema
.DEFAULT_GOAL := help
SHELL := /bin/bash
# A variable as it was typed: neither Make nor the shell replaces anything in it.
typed = '$(subst ','\'',$(value $(1)))'
# A cluster's modules set them, and another Python's packages would be imported.
unexport PYTHONPATH PYTHONHOME

help:   ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: env  ## render parts, run the whole workflow on the CPU, print Table 1 (at most 20 minutes)
	@bash workflow/run_demo.sh

inspect: env  ## score new photographs of one part: make inspect MODEL=<a trained model> PHOTOS=<folder>
	@PYTHONPATH=src .venv/bin/python -m multiflow inspect $(if $(value MODEL),$(call typed,MODEL),--help) $(if $(value PHOTOS),$(call typed,PHOTOS)) $(OPTIONS)

tables: env  ## write and print all tables from what is finished, at any time: make tables RUN=<run> TABLE=<one table>
	@PYTHONPATH=src .venv/bin/python -m multiflow tables $(if $(RUN),--run "$(RUN)",--help) $(if $(TABLE),--table "$(TABLE)")

cite: env  ## BibTeX of the data set, methods and metrics of a run: make cite RUN=<run>
	@PYTHONPATH=src .venv/bin/python -m multiflow cite $(if $(RUN),--run "$(RUN)",--help)

plan: env  ## what a run will cost before it is submitted: make plan CONFIG="config/demo.yaml ..." TABLE=<one table>
	@PYTHONPATH=src .venv/bin/python -m multiflow plan $(CONFIG) $(if $(TABLE),--table "$(TABLE)")

test: env  ## the whole test suite (at most 20 minutes)
	@.venv/bin/python -m pytest

test-slurm: env  ## a run and its faults on a real Slurm cluster on this machine; needs slurmctld, slurmd, slurm-client (at most 20 minutes)
	@.venv/bin/python -m pytest tests/slurm

lint: env  ## ruff, snakefmt, mypy, snakemake --lint
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/snakefmt --check Snakefile workflow
	@.venv/bin/mypy
	@.venv/bin/snakemake --lint

bench: env  ## measure data path, training step, feature extraction, start of jobs and DAG
	@for benchmark in benchmarks/{data_path,training_step,feature_extraction,start,dag}.py; do echo "== $$benchmark"; PYTHONPATH=src .venv/bin/python $$benchmark || exit 1; done

bench-gpu: env  ## on a machine with a GPU, ten minutes: does it compute the same, and how fast; make plan reads the rates
	@PYTHONPATH=src .venv/bin/python benchmarks/gpu.py --workflow $(OPTIONS)

env:  ## install the environment and link it as .venv; another build of torch: make env TORCH_INDEX=<package index>
	@bash envs/install.sh

lock: env  ## resolve pyproject.toml into envs/lock.txt and the conda environment
	@.venv/bin/python envs/make_lock.py

schema: env  ## write the configuration's schema and key tables from its models
	@PYTHONPATH=src .venv/bin/python -m multiflow.config.documentation
