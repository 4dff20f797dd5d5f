"""The result as a table to read, as markdown for the documents, and as json with every round."""
from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, List, Mapping, Sequence

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.interleaved import NOISY, Measure, spread

COLUMNS = ('section', 'what', 'median', 'beside', 'of that', 'ratio', 'spread', 'target', '')


def number(value: float) -> str:
    """Three digits that count; a dash where nothing was measured."""
    if value != value:
        return '-'
    return f'{value:,.0f}' if abs(value) >= 100 or value == int(value) else f'{value:.3g}'


def row(measure: Measure) -> List[str]:
    """The cells of a measure, in the order of COLUMNS."""
    ratios = measure.ratios
    ours, theirs = (f'{number(statistics.median(values))} {measure.unit}'.strip() if values else ''
                    for values in (measure.values, measure.peer))
    scatter = number(spread(ratios or measure.values)) if len(measure.values) > 1 else ''
    verdict = {None: '', True: 'met', False: 'MISSED'}[measure.is_met]
    return [measure.section, measure.what, ours, measure.beside, theirs, f'{measure.figure:.3g}' if ratios else '', scatter,
            measure.target, ' '.join(filter(None, [verdict, 'noisy' if measure.is_noisy else '']))]


def print_table(measures: Sequence[Measure], title: str = '') -> None:
    table = Table(*COLUMNS, title=title)
    for measure in measures:
        table.add_row(*row(measure))
    Console(width=None if Console().is_terminal else 200).print(table)
    noisy = sum(measure.is_noisy for measure in measures)
    if noisy:
        print(f'warning: {noisy} of {len(measures)} figures spread by more than {NOISY:.0%}: something else was running')


def markdown(measures: Sequence[Measure], about: Mapping[str, Any]) -> str:
    """Tables, one a section, below a line that says where and when."""
    versions = ', '.join(f'{name} {version}' for name, version in about['versions'].items())
    lines = [f"Measured {about['date']} on {about['processor']}, {about['cores']} cores, {about['memory_gb']} GB, "
             f"{about['device']}; {versions}; load {about['load_before']:.1f} before and {about['load_after']:.1f} after.", '']
    for section in dict.fromkeys(measure.section for measure in measures):
        lines += [f'**{section}**', '', '| ' + ' | '.join(COLUMNS[1:-1]) + ' |', '|---' * (len(COLUMNS) - 2) + '|']
        lines += ['| ' + ' | '.join(row(measure)[1:-1]) + ' |' for measure in measures if measure.section == section]
        lines.append('')
    return '\n'.join(lines)


def write_json(path: Path, measures: Sequence[Measure], about: Mapping[str, Any]) -> None:
    content = {'about': about, 'measures': [measure.as_dict() for measure in measures]}
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
