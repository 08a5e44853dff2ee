"""bmx distill: knowledge distillation, training a student with frozen teachers."""

from bmx.config.verbs import SWEEPING, Verb

VERB = Verb(
    place=30,
    help="fit a student against frozen teachers, and show what it learned from them",
    target="bmx.verbs.distill.command:distill",
    config="distill",
    check="bmx.verbs.distill.command:check",
    examples=(
        "bmx distill teacher=latest student=mlp",
        "bmx distill teacher=vit student=cnn student.width=8 teacher_epochs=5",
        "bmx distill teacher=20261122-0500,20261122-0601 student=cnn distillation=dkd",
        "bmx distill teacher=lenet5_caffe student=cnn distillation=fitnet distillation.student_layers=[features.1]",
        "bmx distill -m teacher=latest distillation=kd,kd_std,dkd distillation.temperature=2,4,8",
    ),
    aliases=SWEEPING,
    job_words=("plots=false",),
    resumes=True,
    report="bmx.verbs.distill.sweep_report:report",
    lists=("teacher", "teacher_words", "teacher_seeds"),
    named_runs={"teacher": "", "student": "model"},
    inherits={"teacher": "data", "student": "data"},
    beginnings={"student.": "model.", "teacher.": "++teacher_fields."},
)
