"""The task that distils: what it holds and what it does not."""

import torch
from torch import nn

from bmx.data.pipeline.batches import BatchOrder, Position
from bmx.data.spec import DataSpec
from bmx.distillation.adapters import Adapter
from bmx.distillation.method import KD, FitNet, Outputs
from bmx.distillation.teacher_cache import TeacherOutputs
from bmx.distillation.teachers import Teacher, Teachers
from bmx.optim.schedules import Schedule, Timeline
from bmx.tasks.distill import DistillTask, Lesson
from bmx.tasks.losses import objective_for
from bmx.tasks.optimizer_step import FitSettings

SPEC = DataSpec(name="toy", kind="table", input_shape=(3,), num_classes=4)


def make(lesson, augment=None):
    order = BatchOrder(10, 4, seed=5)
    task = DistillTask(
        nn.Linear(3, 4),
        nn.Identity(),
        objective_for(SPEC),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        Schedule(),
        Timeline(steps_per_epoch=3, epochs=1),
        Position(),
        FitSettings(),
        augment=augment,
        order=order,
        lesson=lesson,
    )
    return task, order


def teachers(net):
    return Teachers([Teacher(net, nn.Identity(), SPEC)])


def test_the_teacher_is_no_part_of_the_task():
    teacher = nn.Linear(3, 4)
    adapters = nn.ModuleList([Adapter(3, 5)])
    task, _ = make(Lesson(FitNet(), teachers(teacher), learned=adapters))
    assert set(task.state_dict()) == {"net.weight", "net.bias"}
    assert sum(p.numel() for p in task.parameters()) == 3 * 4 + 4
    optimised = [p for group in task.configure_optimizers().param_groups for p in group["params"]]
    expected = [*task.net.parameters(), *adapters.parameters()]
    assert {id(p) for p in optimised} == {id(p) for p in expected}
    task.train()
    assert not teacher.training and not any(p.requires_grad for p in teacher.parameters())


def test_kept_rows_are_those_of_the_batch_even_in_parts():
    kept = TeacherOutputs(Outputs(torch.arange(10.0).view(-1, 1)))
    task, order = make(Lesson(KD(), teachers(nn.Linear(3, 4)), kept))
    for epoch in range(2):
        task.position.epoch, task.position.step = epoch, 0
        for indices in order.batches(epoch):
            sizes = [1, 2, len(indices)]
            parts = [indices[a:b] for a, b in zip([0, 1, 2], sizes, strict=True)]
            for part in parts:
                assert torch.equal(task._rows(len(part)), part)
            task.position.step += 1
            task.steps_done += 1


def test_teacher_and_student_see_the_same_augmented_batch():
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    task, _ = make(Lesson(KD(), teachers(Spy(3, 4))), augment=lambda raw: raw + torch.rand_like(raw))
    task.net.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0]))
    task.batch_loss(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64))
    student, teacher = seen
    assert torch.equal(student, teacher) and student.abs().sum() > 0


def test_the_loss_is_r11():
    torch.manual_seed(0)
    teacher = nn.Linear(3, 4)
    task, _ = make(Lesson(KD(alpha=0.3, temperature=5.0), teachers(teacher)))
    x, y = torch.randn(6, 3), torch.randint(4, (6,))
    loss, _ = task.batch_loss(x, y)
    s, t = task.net(x), teacher(x)
    kl = nn.functional.kl_div((s / 5).log_softmax(1), (t / 5).log_softmax(1), log_target=True, reduction="batchmean")
    expected = 0.3 * nn.functional.cross_entropy(s, y) + 0.7 * 25 * kl
    torch.testing.assert_close(loss, expected)
