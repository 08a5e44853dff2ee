"""Preset deflate dictionary for the headers of packed files, which shrinks them to a few hundred bytes.

It is part of the format: a change makes existing files unreadable.
"""

from __future__ import annotations

WORDS = "".join(  # the likeliest last, where deflate refers to it with the fewest bits
    (
        '"_target_":"bmx.models.vit.ViT","patch_size":4,"depth":4,"width":128,"heads":4,"mlp_ratio":4.0,"pool',
        'ing":"cls","activation":"gelu","_target_":"bmx.models.transformer.Transformer","stem":"ngram","block',
        '_dropout":0.0,"_target_":"bmx.models.torchvision.TorchvisionModel","name":"resnet18","weights":null"',
        '_target_":"bmx.models.mlp.MLP","hidden":[300,100],"_target_":"bmx.models.lenet5.LeNet5","pool":"max"',
        '"_target_":"bmx.data.language_id.language_id","_target_":"bmx.data.cifar.cifar10","_target_":"bmx.da',
        'ta.digits.digits","_target_":"bmx.data.mnist_5k.mnist_5k","_target_":"torch.optim.SGD","momentum":0.',
        '9,"nesterov":false,"_target_":"torch.optim.AdamW","_target_":"bmx.optim.schedules.Constant","warmup"',
        ':0,"warmup_start":0.01}"_target_":"bmx.compression.low_rank.LowRank","rule":"kfac","budget":{"params',
        '":null,"macs":null,"bytes":null,"latency_ms":null}"_target_":"bmx.compression.quantize.Quantize","_t',
        'arget_":"bmx.compression.prune.Prune","pattern":"none","schedule":"cubic","lottery_ticket":false,"_t',
        'arget_":"bmx.compression.prune_structured.PruneStructured","criterion":"magnitude","ratio":0.5,"roun',
        'd_to":8,"heads":"narrower","samples":512,{"config":{"run":"latest","lr":0.001,"epochs":10,"batch_siz',
        'e":100,"seed":0,"device":"auto","precision":"32-true","name":"lenet5_caffe-mnist-adam","outputs":"ou',
        'tputs","resume":null,"init_from":null,"compile":false,"profile":false,"plan":false,"plots":true,"eng',
        'ines":["eager","onnx"],"batch_sizes":[1,256],"seconds":0.5,"checkpoint":{"every":null},"data":{"leav',
        'e_out":[],"_target_":"bmx.data.mnist.mnist","val_size":0.1,"dir":null,"in_memory":"auto","workers":2',
        '},"optim":{"_target_":"torch.optim.Adam","lr":0.001,"betas":[0.9,0.999],"eps":1e-08,"weight_decay":0',
        '.0},"scheduler":{"_target_":"bmx.optim.schedules.Cosine","final":0.0,"warmup":0,"warmup_start":0.01}',
        ',"regularization":{"l1":0.0,"l2":0.0,"dropout":0.0,"patience":null},"trainer":{"log_every":100,"accu',
        'mulate":1,"clip_norm":null,"threads":null,"channels_last":true,"deterministic":false,"callbacks":[]}',
        ',"logger":{"csv":{"always":true}},"compression":{"_target_":"bmx.compression.deep.Deep","criterion":',
        '"lamp","sparsity":0.97,"budget":{"params":null},"begin":0.0,"end":0.6,"updates":100,"share":0.8,"bit',
        's":{"conv":5,"linear":4,"bias":5},"gradient":"sum","skip":[]},"model":{"_target_":"bmx.models.cnn.CN',
        'N","depth":2,"width":20,"multiplier":2.5,"kernel_size":5,"padding":0,"pool":"max","hidden":500,"acti',
        'vation":"relu","conv_activation":null,"dropout":0.0},"augmentation":{}},"spec":{"name":"mnist","kind',
        '":"image","input_shape":[1,28,28],"num_classes":10,"labels":["0","1","2","3","4","5","6","7","8","9"',
        '],"vocab_size":0,"pad_id":0,"vocabulary":[]},"preprocessing":"inside","statistics":{"scale":[[[]]],"',
        'shift":[[[-]]]},"input_dtype":"uint8","recipe":[{"kind":"channels","modules":{"":{"in_features":,"ou',
        't_features":,"in_channels":,"out_channels":,"num_features":}},"tensors":{".weight":[,".bias":[]}}]}',
    )
).encode()
