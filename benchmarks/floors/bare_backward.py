"""Floor for `grad`: GPT-2 in plain torch, built, run forward and backward once, its loss printed.

python benchmarks/floors/bare_backward.py [LENGTH]
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, POSITIONS, WIDTH, HEADS, LAYERS = 50_257, 1_024, 768, 12, 12
LENGTH = int(sys.argv[1]) if sys.argv[1:] else 16


class Conv1D(nn.Module):
    """`x @ weight + bias`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-(inputs**-0.5), inputs**-0.5))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[.., inputs] -> [.., outputs]."""
        return x @ self.weight + self.bias


class Block(nn.Module):
    """Attention and a perceptron, each on a normed copy of the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.c_attn, self.c_proj = Conv1D(WIDTH, 3 * WIDTH), Conv1D(WIDTH, WIDTH)
        self.fc, self.proj = Conv1D(WIDTH, 4 * WIDTH), Conv1D(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, WIDTH] -> the same."""
        q, k, v = (
            each.reshape(*each.shape[:-1], HEADS, -1).transpose(1, 2)
            for each in self.c_attn(self.ln_1(x)).split(WIDTH, dim=-1)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=0.1, is_causal=True)
        x = x + functional.dropout(self.c_proj(mixed.transpose(1, 2).flatten(2)), 0.1)
        hidden = functional.gelu(self.fc(self.ln_2(x)), approximate="tanh")
        return x + functional.dropout(self.proj(hidden), 0.1)


class GPT2(nn.Module):
    """124,439,808 parameters, the head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.h = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, L] -> [B, L, VOCABULARY]."""
        x = functional.dropout(self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1])), 0.1)
        for block in self.h:
            x = block(x)
        logits: Tensor = self.lm_head(self.ln_f(x))
        return logits


torch.manual_seed(0)
model = GPT2()
tokens, target = torch.randint(0, VOCABULARY, (2, 1, LENGTH))
loss = functional.cross_entropy(model(tokens).reshape(-1, VOCABULARY), target.reshape(-1))
loss.backward()  # type: ignore[no-untyped-call]
sys.stdout.write(f"{loss.item()}\n")
