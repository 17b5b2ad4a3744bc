"""How quick a bundle is in which engine: `benchmark`."""

import argparse
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.verbs.options import AddVerb, ExitStatus, add_set, checked, say
from pipelines.workflows.required import Kind


def add(verb: AddVerb) -> None:
    """Add this verb to the command line."""
    parser = verb(
        "benchmark",
        benchmark,
        "measure a bundle's network in every engine: one image, batches, size",
        "benchmark pneumonia_classification --output benchmark/",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "--engines",
        metavar="LIST",
        default="torch,torch_bf16,onnxruntime,openvino_f32,openvino",
        help="by commas, exported files among them; default: %(default)s",
    )
    parser.add_argument(
        "--film-size", type=int, metavar="N", help="side of a film; default: the bundle's"
    )
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=8, metavar="N", help="turns of each; default: %(default)s"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write a table and a picture there too"
    )
    add_set(parser)


def benchmark(options: argparse.Namespace) -> ExitStatus:
    """Measure a bundle's network in several engines after its static check.

    Raises:
        ConfigurationError: If a number is below 1.
    """
    for name in ("film_size", "batch", "rounds"):
        given = getattr(options, name)
        if given is not None and given < 1:
            option = name.replace("_", "-")
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected --{option} of at least 1, got {given}"
            )
    bundle, overrides = checked(options, base=Kind.INFERENCE, overlays=())
    from pipelines.deploy.benchmark import rounds
    from pipelines.deploy.benchmark.contestants import contestants

    engines = [each.strip() for each in options.engines.split(",") if each.strip()]
    size, batch = options.film_size, options.batch
    with contestants(bundle, engines, size=size, overrides=overrides) as (started, shape):
        lines = rounds.measure(started, rounds=options.rounds, batch=batch)
    say(rounds.as_text(lines, shape=shape, batch=batch))
    if options.output is not None:
        rounds.write(options.output, lines, shape=shape, batch=batch, bundle=bundle.name)
        say(f"table and picture: {options.output}")
    return ExitStatus.DONE
