"""Data sets: sources, validation, splits, fingerprints, and conversion of raw batches to model inputs.

A source function (such as ``bmx.data.digits.digits``) returns a :class:`~bmx.data.arrays.Source`;
:func:`~bmx.data.pipeline.prepare.prepare` makes a :class:`~bmx.data.pipeline.prepare.DataSet` of it;
:class:`~bmx.data.pipeline.input_stage.InputStage` converts a batch of it to model inputs.
"""
