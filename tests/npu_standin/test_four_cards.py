"""Four cards, a process each, over `hccl`, against four processes on the CPU over gloo."""
from __future__ import annotations

import pytest


@pytest.mark.slow
def test_four_cards_end_at_the_weights_of_four_processes_on_the_cpu(train, differences):
    card = train('--no-validate', cards=4)
    cpu = train('--no-validate', cards=4, device='cpu', way='contiguous')
    assert (card.status, cpu.status) == (0, 0), card.errors[-6000:] + cpu.errors[-6000:]
    states = [{key: run.checkpoint()[key] for key in ('state_dict', 'optimizer')} for run in (card, cpu)]
    assert differences(*states) == []
    assert card.losses == pytest.approx(cpu.losses, abs=2e-5)  # a mean over ranks, which gloo adds up in another order
    own = train('--no-validate', '--gpus', 4, way=None)  # started by this project, not by torchrun
    assert own.status == 0 and differences(*({key: run.checkpoint()[key] for key in states[0]} for run in (own, card))) == []
    used = [[card for card, peak in enumerate(report['memory']) if peak] for report in card.on_cards()]
    assert used == [[0], [1], [2], [3]]
