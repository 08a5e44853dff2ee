"""Data sets, how they are split and fingerprinted, and how their raw values become what a model takes.

A source function (``bmx.data.digits.digits`` and its like) returns a :class:`~bmx.data.arrays.Source`;
:func:`~bmx.data.pipeline.prepare.prepare` makes a :class:`~bmx.data.pipeline.prepare.DataSet` of it;
:class:`~bmx.data.pipeline.input_stage.InputStage` turns a batch of it into what a model takes.
"""
