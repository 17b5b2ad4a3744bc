"""A tiny SegFormer that takes red for a lesion, in the folder form of the Hugging Face Hub."""

import json

import torch


def write_tiny_segformer(folder, *, labels=("background", "lesion"), redness=True):
    """Save a SegFormer of a few thousand weights; with `redness` its answer follows the redness.

    The network is whole and real; its weights are random but for the last layer.
    """
    from transformers import SegformerConfig, SegformerForSemanticSegmentation
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = SegformerConfig(
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={name: index for index, name in enumerate(labels)},
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 16, 16, 16],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=32,
    )
    network = SegformerForSemanticSegmentation(config).eval()
    if redness:
        _follow_redness(network)
    network.save_pretrained(str(folder))
    size = {"height": 64, "width": 64}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size}))
    return folder


@torch.no_grad()
def _follow_redness(network):
    """Fit the last layer alone, on red squares on grey: enough for the answer to follow colour."""
    images = torch.zeros(48, 3, 64, 64) + torch.rand(48, 1, 1, 1)
    target = torch.zeros(48, 16, 16)
    for image, truth in zip(images, target, strict=True):
        top, left = torch.randint(0, 12, (2,)).tolist()
        image[:, 4 * top : 4 * top + 20, 4 * left : 4 * left + 20] = torch.tensor([2.0, -2, -2])[
            :, None, None
        ]
        truth[top : top + 5, left : left + 5] = 1
    classifier = network.decode_head.classifier
    kept = []
    handle = classifier.register_forward_hook(lambda _, inputs, __: kept.append(inputs[0]))
    network(pixel_values=images)
    handle.remove()
    features = kept[0].permute(0, 2, 3, 1).reshape(-1, kept[0].shape[1]).double()
    padded = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    wanted = target.reshape(-1, 1).double() * 2 - 1
    weights = torch.linalg.lstsq(padded, wanted).solution[:, 0].float() * 5
    for label, sign in enumerate((-1, 1)):
        classifier.weight[label, :, 0, 0] = sign * weights[:-1]
        classifier.bias[label] = sign * weights[-1]
