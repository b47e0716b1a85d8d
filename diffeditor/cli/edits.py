"""The commands that edit: one for each task, and `run` for an edit that was saved."""

import argparse
from dataclasses import fields, replace
from pathlib import Path

from diffeditor.cli.carry_out import carry_out
from diffeditor.cli.command import Command, leaf
from diffeditor.cli.options import add_edit_options, add_run_options, chosen_preset
from diffeditor.cli.task_options import TASK_OPTIONS, add_task_option


def edit_command(name: str, help: str) -> Command:
    """The command of a task."""

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        from diffeditor.tasks import TASKS

        for item in fields(TASKS[name]):
            add_task_option(parser, item.name, item.default)
        add_edit_options(parser)

    def act(options: argparse.Namespace) -> None:
        from diffeditor.recipe import Recipe
        from diffeditor.tasks import TASKS

        values = {
            item.name: TASK_OPTIONS[item.name].read(getattr(options, item.name))
            for item in fields(TASKS[name])
        }
        preset = chosen_preset(options)
        recipe = Recipe.from_task(
            TASKS[name](**values),
            preset,
            options.seed,
            options.model,
            vae=options.vae,
            loras=options.lora,
        )
        carry_out(recipe, f"{Path(options.image).stem}-{name}.png", options)

    return leaf(help, add_arguments, act)


def _add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RECIPE", help="a recipe's JSON file or a result's PNG")
    add_run_options(parser, model=None)


def _run_recipe(options: argparse.Namespace) -> None:
    from diffeditor.recipe import Recipe

    recipe = Recipe.load(options.source)
    if options.model is not None:  # another model brings its own VAE and no LoRA files
        recipe = replace(recipe, model=options.model, vae=None, loras=())
    recipe = replace(recipe, vae=options.vae or recipe.vae, loras=options.lora or recipe.loras)
    carry_out(recipe, f"{Path(options.source).stem}-again.png", options)


RUN = leaf("repeat an edit that was saved before", _add_recipe_arguments, _run_recipe)
