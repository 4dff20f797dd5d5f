"""All that can be said of a dataset, looked at file by file."""
from __future__ import annotations

from typing import Any, Iterable, List, NamedTuple, Sequence, Tuple

from torch import nn

from mmdet.apis.dataset_check import counted, summary, unique
from mmdet.apis.dataset_facts import ClassCount, SizeRow, class_counts, default_boxes, input_shape, size_rows, wanted_boxes
from mmdet.apis.test import progress
from mmdet.datasets.defects import SERIOUS, Defect
from mmdet.datasets.picture_check import check_pictures
from mmdet.datasets.pictures import AnnotatedPictures

EXAMPLES = 5  # of each kind, on the console
WORTH_SAYING = 0.05  # of the boxes of some size


class Report(NamedTuple):
    """Fields:
        section: where the dataset stands, such as 'data.train'.
        dataset: it.
        records: what is to be said of its annotations.
        files: of its pictures' files.
        classes: how often each occurs among the pictures that are used.
        sizes: how default boxes reach its boxes; [] if that is not known.
        threshold: IoU from which a default box is matched.
        shape: height and width of the network's input.
    """
    section: str
    dataset: AnnotatedPictures
    records: List[Defect]
    files: List[Defect]
    classes: List[ClassCount]
    sizes: List[SizeRow]
    threshold: float
    shape: Tuple[int, int]

    @property
    def defects(self) -> List[Defect]:
        return self.records + self.files


def report_on(dataset: AnnotatedPictures, section: str, model: Any, threads: int, show_progress: bool = True) -> Report:
    """Look at everything.

    Args:
        dataset: built with bad_data='skip', so that nothing that is wrong hides what else is.
        section: where it stands.
        model: a detector, for its default boxes; None leaves them out.
        threads: that decode pictures.
        show_progress: whether to say how far it is.
    """
    found = check_pictures(dataset, range(len(dataset)), threads)
    files = [defect for some in progress(found, len(dataset), f'{section}: decoding', show_progress) for defect in some]
    bboxes, labels, pictures = wanted_boxes(dataset.annotations)
    shape = input_shape(dataset) if isinstance(model, nn.Module) else None
    sizes: List[SizeRow] = []
    threshold = 0.0
    if shape is not None:
        threshold = model.train_cfg.assigner.pos_iou_thr if model.train_cfg else 0.5
        sizes = size_rows(bboxes, dataset.annotations.sizes[pictures], default_boxes(model, shape), shape, threshold)
    return Report(section, dataset, unique([*dataset.skipped, *dataset.defects()]), files,
                  class_counts(dataset.CLASSES, labels, pictures), sizes, threshold, shape or (0, 0))


def lines_of(report: Report) -> Iterable[str]:
    """The report for a console: what there is, what is wrong with examples, what else is to be said."""
    yield f'{report.section}: {summary(report.dataset, [])}'
    bare = [name for name, boxes, _ in report.classes if not boxes]
    if bare:
        yield f"  classes without a box: {', '.join(bare)}"
    for row in report.sizes:
        if row.unreached >= WORTH_SAYING:
            yield (f'  boxes of {size_range(row)} pixels of the input: {row.unreached:.1%} of {row.boxes:,} reached by no '
                   f'default box')
    for kind, count in sorted(counted(report.defects), key=lambda entry: entry[0] not in SERIOUS):
        yield f"  {'ERROR' if kind in SERIOUS else 'note '} {count:,} x {kind}"
        if kind in SERIOUS:
            of_kind = [defect.message for defect in report.defects if defect.kind == kind]
            yield from (f'        {message}' for message in of_kind[:EXAMPLES])
            if len(of_kind) > EXAMPLES:
                yield f'        and {len(of_kind) - EXAMPLES:,} more'


def size_range(row: SizeRow) -> str:
    return f'{row.low} and more' if row.high is None else f'{row.low} to {row.high}'


def write_list(path: str, reports: Sequence[Report]) -> None:
    """Every defect of every dataset, a line each: where, kind, message, with tabs between."""
    with open(path, 'w', encoding='utf-8', errors='surrogateescape') as file:
        for report in reports:
            for kind, message in report.defects:
                file.write(f'{report.section}\t{kind}\t{message}\n')
