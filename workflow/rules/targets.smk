"""A target per table: `snakemake table1` runs what Table 1 shows and no more."""

if taken := sorted({rule.name for rule in workflow.rules} & set(TABLES)):
    raise WorkflowError(
        f"methods: an ablation table has the name {taken[0]}, which is that of a rule; rename it"
    )


for name in TABLES:

    rule:
        name:
            name
        input:
            expand(rules.make_table.output, table=name),
        localrule: True
