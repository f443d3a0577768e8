# Relevance feedback: refinements by persons, and a simulated user.


rule refine:
    input:
        unpack(refine_input),
    output:
        rounds="results/feedback/{refinement}/rounds.json",
        results="results/feedback/{refinement}/results.csv",
        vectors="results/feedback/{refinement}/vectors.h5",
        picture=report(
            "results/feedback/{refinement}/refinement.png",
            caption="../report/refinement.rst",
            category="Relevance feedback",
            labels={"refinement": "{refinement}"},
        ),
    log:
        "results/logs/refine/{refinement}.log",
    wildcard_constraints:
        refinement=one_of(REFINEMENTS),
    conda:
        "../envs/workflow.yaml"
    threads: 4
    resources:
        mem_mb=grows(2000, per_mb=4),
        runtime=grows(20, per_mb=0.1),
    params:
        code=refine_code,
        # An invalid file makes its own job fail, so that the other refinements are still made.
        problem=lambda wildcards: REFINEMENTS[wildcards.refinement].problem,
        chosen=refine_settings,
        refinement=lambda wildcards: REFINEMENTS[wildcards.refinement].path,
        content=lambda wildcards: content_of(REFINEMENTS[wildcards.refinement].path),
        folder=lambda wildcards: FEEDBACK_FOLDER,
        image=lambda wildcards: REFINEMENTS[wildcards.refinement].image or "",
    script:
        "../scripts/refine.py"


rule simulate:
    input:
        gallery=f"results/features/{{method}}/{GALLERY}.h5",
        asking=f"results/features/{{method}}/{QUERY_SPLIT}.h5",
        categories="results/collection/categories.json",
        evaluated="results/evaluation/{method}/categories.csv",
        queries="results/evaluation/{method}/queries.csv",
    output:
        gain="results/feedback/simulated/{method}/gain.csv",
        example="results/feedback/simulated/{method}/example.json",
    log:
        "results/logs/simulate/{method}.log",
    benchmark:
        "results/benchmarks/simulate/{method}.tsv"
    # Started before other jobs that need an evaluation, because it takes longest.
    priority: 1
    conda:
        "../envs/workflow.yaml"
    threads: spread(20)
    resources:
        mem_mb=grows(2000, per_mb=4),
        runtime=grows(60, per_mb=1),
    params:
        # The example uses Rocchio's formula.
        code=code(
            "simulate.py",
            entries=[("evaluation/metrics", "anmrr"), *strategies_of(*SIMULATION["strategies"], "rocchio")],
        ),
        settings=settings(SIMULATION),
    script:
        "../scripts/simulate.py"


# A separate rule, so that changes of the plots do not rerun the simulation.
rule plot_simulation:
    input:
        gain="results/feedback/simulated/{method}/gain.csv",
        example="results/feedback/simulated/{method}/example.json",
        images="results/collection/images.csv",
        ranges="results/collection/ranges.json",
    output:
        gain=report(
            "results/feedback/simulated/{method}/gain.svg",
            caption="../report/gain.rst",
            category="Relevance feedback",
            labels={"refinement": "simulated user, {method}"},
        ),
        example=report(
            "results/feedback/simulated/{method}/example.png",
            caption="../report/example.rst",
            category="Relevance feedback",
            labels={"refinement": "example, {method}"},
        ),
    log:
        "results/logs/plot_simulation/{method}.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000, per_mb=4),
        runtime=grows(20, per_mb=0.1),
    params:
        code=code("plot_simulation.py"),
    script:
        "../scripts/plot_simulation.py"
