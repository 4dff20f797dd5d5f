"""Keeps the checkpoint of the best evaluation."""
from __future__ import annotations

import os
import re
from functools import partial
from typing import Any, Dict, Mapping, Optional

from mmcv_need.checkpoint import UNSAVED, meta_of
from mmcv_need.dist_utils import barrier, broadcast_int, on_rank_0
from mmcv_need.hooks.checkpoint import give_up_or_warn
from mmcv_need.hooks.kept_files import can_be_read, known_files, remove_files
from mmcv_need.hooks.metric_rules import Keys, better_rule, metric_value


class BestCheckpoint:
    """One file `best_{metric}_epoch_{N}.pth` (or `_iter_{N}`); the next better one replaces it, once that has been read back.

    Args:
        metric: what counts; 'auto' is the first that an evaluation gives.
        rule: 'greater' or 'less'; None goes by the name of the metric.
        greater_keys, less_keys: what its name may have in it, see `better_rule`.

    Raises:
        ConfigError: no such rule, or a metric of which it is not known.
    """

    def __init__(self, metric: str, rule: Optional[str] = None, greater_keys: Keys = None, less_keys: Keys = None):
        self.rule_of = partial(better_rule, given=rule, greater_keys=greater_keys, less_keys=less_keys)
        self.rule_of('mAP' if metric == 'auto' else metric)
        self.metric = metric
        self.score: Optional[float] = None
        self.file: Optional[str] = None

    def offer(self, runner: Any, values: Mapping[str, Any], unit: str, **place: int) -> None:
        """Save the run as it is if its values are the best so far. Every rank calls it; rank 0's values count.

        Args:
            runner: which saves.
            values: of an evaluation.
            unit: 'epoch' or 'iter', which the file's name counts.
            place: epoch, iteration, inner_iter: what is complete.

        Raises:
            ConfigError: there is no such metric among the values, or it is no number.
        """
        messages = runner.meta.setdefault('hook_msgs', {})
        earlier, told = (self.score, self.file), dict(messages)
        better = on_rank_0(partial(self._is_better, runner, values)) or False
        if not broadcast_int(int(better), runner.device):
            return
        number, before = place['epoch' if unit == 'epoch' else 'iteration'], self.file
        self.file = f"best_{re.sub(r'[^@.A-Za-z0-9_-]', '_', self.metric)}_{unit}_{number}.pth"
        messages.update(best_score=self.score, best_ckpt=os.path.join(runner.work_dir, self.file))
        path = None
        try:
            path = runner.save_checkpoint(self.file, latest=False, **place)
        except UNSAVED as error:
            give_up_or_warn(runner, error)
        if path is None:  # nor if what would have been written is not finite
            (self.score, self.file), runner.meta['hook_msgs'] = earlier, told
            return
        if runner.rank == 0:
            runner.logger.info('Now best checkpoint is saved as %s.', self.file)
            runner.logger.info('Best %s is %.4f at %d %s.', self.metric, self.score, number, unit)
            if before not in (None, self.file) and can_be_read(path, place['iteration'], runner.logger):
                remove_files(runner.work_dir, [before], runner.logger)
        barrier()

    def _is_better(self, runner: Any, values: Mapping[str, Any]) -> bool:
        if not values:
            runner.logger.warning('the evaluation gave no values: no best checkpoint is chosen')
            return False
        if self.metric == 'auto':
            self.metric = next(iter(values))
        score, rule = metric_value(self.metric, values, 'evaluation.save_best'), self.rule_of(self.metric)
        better = score == score and (self.score is None or (score > self.score if rule == 'greater' else score < self.score))
        self.score = score if better else self.score
        return better

    def state(self, runner: Any) -> Dict[str, Any]:
        return {'metric': self.metric, 'score': self.score, 'folder': os.path.realpath(runner.work_dir),
                'files': [self.file] if self.file else []}

    def load_state(self, runner: Any, state: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
        """Go on comparing; with another metric than before, begin anew. MMCV's files tell the score, in `hook_msgs`."""
        messages = meta_of(checkpoint).get('hook_msgs') or {}
        told = {key: messages[key] for key in ('best_score', 'best_ckpt') if key in messages}
        if state and self.metric in ('auto', state.get('metric')):
            self.metric, self.score = state['metric'], state['score']
            self.file = next(iter(known_files(state, 'files', runner.work_dir, runner.resumed_from)), None)
        elif not state:
            of_mmcv = re.fullmatch(r'best_(.+)_(epoch|iter)_\d+\.pth', os.path.basename(str(told.get('best_ckpt'))))
            if of_mmcv and self.metric in ('auto', of_mmcv.group(1)):
                self.metric, self.score = of_mmcv.group(1), told.get('best_score')
        if self.score is not None:
            runner.meta.setdefault('hook_msgs', {}).update(told)
