"""What the commands print. `COLUMNS=80` before a line means a terminal of that width, without it a pipe."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

LINES = """
list net.pt
list net.pt --all
list net.pt --header
list net.pt --format csv
list net.pt --format csv --no-header
list net.pt --format json
list net.pt --format jsonl
list net.pt --format markdown
list net.pt --format names
COLUMNS=80 list net.pt --all
COLUMNS=40 list net.pt --all
COLUMNS=80 list training.pt
list training.pt --module model
list training.pt --module model.head --all
list training.pt --depth 0 --all --format jsonl
list training.pt --depth 1 --all
COLUMNS=80 list training.pt --depth 2
list training.pt --total
list training.pt --total --all --format json
COLUMNS=80 list training.pt --total
list training.pt --sort numel --reverse --columns numel,name
list training.pt --columns nbyte
list training.pt --sort nbyte
list training.pt --depth 1 --sort shape
list training.pt --depth 1 --aliases
list training.pt --depth -1
list gpt2.safetensors --total
list gpt2.safetensors --select '*h.1?.ln_*' --exclude '*bias' --sort name
list gpt2.safetensors --select lm_head.weight
list gpt2.safetensors --select 'w[tp]e.*' --select lm_head.weight
list gpt2.safetensors --select '/^(wte|lm_head)/' --aliases
list gpt2.safetensors --module lm_head
list gpt2.safetensors --module h.11.mlp
list gpt2.safetensors --module mlp
list gpt2.safetensors --module H.11
list gpt2.safetensors --module xyz
list gpt2.safetensors --module wte.weight
list gpt2.safetensors --select attn
list gpt2.safetensors --select wte.wieght
list gpt2.safetensors --select xyz
list gpt2.safetensors --exclude '*'
list gpt2.safetensors --select '/(/'
COLUMNS=80 list gpt2.safetensors --select xyz
COLUMNS=60 list gpt2.safetensors --select '*h.11.*' --select wte.weight
COLUMNS=60 list gpt2.safetensors --select '*te.*' --select lm_head.weight --aliases
COLUMNS=200 list gpt2.safetensors --select '*te.*' --select lm_head.weight --aliases
COLUMNS=80 list gpt2.safetensors --depth 1
COLUMNS=60 list gpt2.safetensors --total
list shared.pt
list shared.pt --aliases
list shared.pt --total --format csv
list hostile.safetensors
list hostile.safetensors --format csv
list hostile.safetensors --format json
list hostile.safetensors --format markdown
list hostile.safetensors --format names
COLUMNS=80 list hostile.safetensors
list odd.pt
list odd.pt --format json
list odd.pt --total
COLUMNS=80 list odd.pt
list nothing.pt
list nothing.pt --format json
COLUMNS=80 list nothing.pt
list net.pt broken.pt nowhere.pt training.pt
list net.pt broken.pt --format json
list net.pt training.pt --format json --columns name
list net.pt training.pt --format jsonl --columns source,numel
list net.pt training.pt --header --columns name,source
list net.pt training.pt --format markdown --depth 1
list net.pt training.pt --total
list net.pt training.pt --total --format json
COLUMNS=80 list net.pt training.pt
COLUMNS=80 list net.pt training.pt --total
list net.pt training.pt --module model
list net.pt training.pt --select '0.*'
list broken.pt --format json
list bug.pt
list deep.pt
list big.pt net.pt
list
list net.pt --formt tsv
list net.pt --format xml
list net.pt --sort
lst net.pt
show-me net.pt
tree gpt2.safetensors
tree gpt2.safetensors --no-fold --depth 3 --module h.11
tree gpt2.safetensors --depth 1
tree gpt2.safetensors --depth 0
tree gpt2.safetensors --module h --depth 1
tree gpt2.safetensors --select '*.c_fc.*'
tree gpt2.safetensors --module h.1.attn --format json
COLUMNS=80 tree gpt2.safetensors
COLUMNS=50 tree gpt2.safetensors
COLUMNS=20 tree gpt2.safetensors --depth 3
tree net.pt --all
tree net.pt --format json
COLUMNS=40 tree net.pt
tree training.pt
tree training.pt --all --no-fold
tree shared.pt
tree shared.pt --format json
tree hostile.safetensors
tree odd.pt
tree nothing.pt
tree broken.pt
tree net.pt --select xyz
tree net.pt --module xyz
tree net.pt training.pt
list configs/mlp.yaml
COLUMNS=80 list configs/mlp.yaml
list configs/mlp.yaml --module 0 --format json
list configs/mlp.yaml --module 1
list configs/mlp.yaml --arg a=1
list configs/mlp.yaml --strip-prefix module.
list configs/shared_linear.yaml
list configs/shared_linear.yaml --aliases
list configs/my_model.py:MyModel
list configs/my_model.py:MyModel --all --arg size=3
list configs/my_model.py
list configs/gpt2.yaml --total -D depth=24
list configs/gpt2.yaml --total -D dpth=24
list configs/gpt2.yaml --total -D depth
list configs/gpt2.yaml --total -D depth=1 -D depth=2
list configs/gpt2.yaml -D depth=2.5
list configs/gpt2.yaml -D depth=yes
list configs/gpt2.yaml --module trnasformer
list configs/mlp.yaml net.pt models.py:make --total
list net.pt --weights net.pt
list unknown_type.yaml
list wrong_argument.yaml
list bad_value.yaml
list duplicate_key.yaml
list duplicate_name.yaml
list yes_no.yaml
list glob.yaml
list cycle.yaml
list repeat.yaml
list power.yaml
list unknown_variable.yaml
list tie_shapes.yaml
list undefined_use.yaml
list unused_shared.yaml
list import.yaml
list utils.yaml
list syntax.yaml
list wrong_model.yaml
list spec.json
list lazy.yaml
list lazy_no_input.yaml
list unknown_type.yaml configs/mlp.yaml
list scaled.yaml
list scaled.yaml --modules-file models.py
list scaled.yaml --modules-file nowhere.py
list models.py:mkae
list models.py:make --arg width=3
list models.py:make --arg widht=3
list models.py:make --arg width
list models.py:make -D width=3
list models.py:make --modules-file models.py
list models.py:broken
list models.py:text
list models.py:number
list nothing.models:make
tree configs/mlp.yaml
COLUMNS=80 tree configs/mlp.yaml
COLUMNS=60 tree configs/mlp.yaml
tree configs/mlp.yaml --with-shapes
tree configs/mlp.yaml --with-shapes --format json
tree configs/mlp.yaml --select '*weight'
tree configs/mlp.yaml --select '*weight' --with-shapes
tree configs/shared_linear.yaml
tree configs/autoencoder.yaml
COLUMNS=80 tree configs/autoencoder.yaml
COLUMNS=50 tree configs/autoencoder.yaml
tree configs/autoencoder.yaml --module decoder --with-shapes
tree configs/autoencoder.yaml --module decodr
tree folded.yaml
COLUMNS=80 tree folded.yaml
tree folded.yaml --depth 1
tree folded.yaml --with-shapes
tree unknown_type.yaml
tree models.py:make --with-shapes
tree net.pt --with-shapes
show configs/mlp.yaml 0.wieght
show configs/mlp.yaml 0
show configs/mlp.yaml '*.wieght'
show configs/mlp.yaml 0.weight --slice 3
show configs/mlp.yaml 0.weight --slice 0,0,0
show configs/mlp.yaml 0.weight --slice a
show configs/mlp.yaml 0.weight --slice ::-1
show configs/mlp.yaml '*' --format npy
COLUMNS=80 show configs/mlp.yaml 0.weight --format npy
show net.pt 0.weight
show unknown_type.yaml 0.weight
show configs/mlp.yaml
init configs/mlp.yaml --rule '*=constant(1)'
init configs/mlp.yaml --rule '*=constant(1)' --format json
init configs/mlp.yaml --rule '*=constant(1)' --format csv --columns name,initializer,mean
COLUMNS=80 init configs/mlp.yaml --rule '*weight=constant(1)' --show
init configs/mlp.yaml --rule gaussian --dry-run
init configs/mlp.yaml --rule gaussian --dry-run --format json
COLUMNS=80 init configs/mlp.yaml --rule gaussian --dry-run
COLUMNS=80 init configs/gpt2.yaml -D depth=1 --dry-run
COLUMNS=80 init configs/lstm_tagger.yaml --dry-run
COLUMNS=120 init configs/lstm_tagger.yaml --rule 'lstm.*=orthogonal' --rule '*bias*=zeros' --dry-run
init configs/mlp.yaml
init configs/mlp.yaml --rule gausian
init configs/mlp.yaml --rule '*weight'
init configs/mlp.yaml --rule '*weight=nromal(std=0.02)'
init configs/mlp.yaml --rule '*weight=normal(sdt=0.02)'
init configs/mlp.yaml --rule '*weight=normal(std=0.02'
init configs/mlp.yaml --rule '*weight=normal(std=$x)'
init configs/mlp.yaml --rule '*weight=normal(std=fan_on)'
init configs/mlp.yaml --rule '*weight=kaiming_normal(nonlinearity=gelu)'
init configs/mlp.yaml --rule '*=xavier_uniform'
init configs/mlp.yaml --rule '*weight=orthogonal(chunks=2)'
init configs/mlp.yaml --rule 'Conv*:*=zeros'
init configs/mlp.yaml --rule '*wieght=zeros' --allow-unmatched
init configs/mlp.yaml --rule '*weight=ones' --rule '*=zeros' --require-all
init configs/mlp.yaml --rule '*weight=ones' --require-all
init configs/mlp.yaml --rule '*=ones' -o net.what
init configs/mlp.yaml --rule '*=ones' --dtype bfloat16
init configs/mlp.yaml --rule '*=ones' --show --format tsv
COLUMNS=80 init configs/mlp.yaml --rule '*=ones' -o -
init configs/custom_init.yaml --rule sparse
init configs/mlp.yaml --config configs/custom_init.yaml --rule sparse --rules-file configs/my_rules.py --dry-run
init configs/shared_linear.yaml
init net.pt --rule '*=zeros' --dry-run
init net.pt --rule 'Linear:*=zeros' --dry-run
init gpt2.safetensors --rule 'LayerNorm:*=zeros' --dry-run
init gpt2.safetensors --rule 'lm_head.weight=zeros' --dry-run
init odd.pt --rule '*=zeros' --dry-run
init broken.pt --rule '*=zeros'
rules
COLUMNS=80 rules
rules --format json
rules configs/mlp.yaml
rules configs/custom_init.yaml --format json
rules configs/shared_linear.yaml
rules nowhere.yaml
show -h
convert
convert training.pt
convert training.pt -o model.what
convert training.pt -o - --verify
convert training.pt --dry-run -o m.safetensors
convert training.pt --dry-run -o m.safetensors --all --format names
convert training.pt --dry-run -o m.safetensors --module model --rename 'head.*=lm.*' --dtype bfloat16
convert training.pt --dry-run -o m.safetensors --module model --rename 'hed.*=lm.*' --format json
COLUMNS=80 convert training.pt --dry-run -o m.safetensors --module model --rename 'head.*=lm.*' --dtype bfloat16
convert training.pt --dry-run -o m.safetensors --module modle
convert training.pt --dry-run -o m.safetensors --select xyz
convert training.pt --dry-run -o m.safetensors --rename '*=w'
convert training.pt --dry-run -o m.safetensors --rename '*.w=*.*.*'
convert training.pt --dry-run -o m.safetensors --metadata author
convert training.pt --dry-run -o m.safetensors --columns name,from
convert training.pt --dry-run -o m.gguf
convert gpt2.safetensors --dry-run -o m.npz --select '*te.*' --select lm_head.weight --header
convert gpt2.safetensors --dry-run -o m.pt --select '*te.*' --select lm_head.weight --header
COLUMNS=80 convert gpt2.safetensors -o -
convert mixed.gguf --dry-run -o m.safetensors
convert mixed.gguf --dry-run -o m.safetensors --exclude '*.iq2*' --columns name,dtype,from_dtype
convert broken.pt -o m.safetensors
convert configs/mlp.yaml --rule '*wieght=zeros' -o m.safetensors --dry-run
convert -h
stats before.safetensors
stats before.safetensors --format json
stats before.safetensors --header --columns name,mean,std
stats before.safetensors --format markdown --columns name,max,histogram
stats before.safetensors --format names
COLUMNS=80 stats before.safetensors
COLUMNS=200 stats before.safetensors
COLUMNS=40 stats before.safetensors
stats before.safetensors --module model --depth 1 --columns name,tensors,numel,mean,nan
COLUMNS=80 stats before.safetensors --module model --depth 1
stats before.safetensors --depth 1 --sort dtype
stats before.safetensors --fail-on nan,constant --columns name
stats before.safetensors --fail-on nan,zero --select '*.weight' --columns name
stats before.safetensors --fail-on nans
stats before.safetensors --sort mean --reverse --columns mean,name
stats before.safetensors --columns men
stats before.safetensors after.safetensors --columns source,name,std
stats before.safetensors --select xyz
stats mixed.gguf --columns name,dtype,mean,max
COLUMNS=80 stats mixed.gguf
stats net.pt --columns name
stats broken.pt before.safetensors --columns name
stats before.safetensors -D a=1
stats -h
diff before.safetensors after.safetensors
diff before.safetensors after.safetensors --map 'model.*=*'
diff before.safetensors after.safetensors --map 'model.*=*' --format json
diff before.safetensors after.safetensors --map 'model.*=*' --only names
diff before.safetensors after.safetensors --map 'model.*=*' --only shapes
diff before.safetensors after.safetensors --map 'model.*=*' --only values --header
diff before.safetensors after.safetensors --map 'model.*=*' --only values --atol 0.5
diff before.safetensors after.safetensors --map 'model.*=*' --select 'model.fc.*' --select 'fc.*'
COLUMNS=80 diff before.safetensors after.safetensors --map 'model.*=*'
COLUMNS=80 diff before.safetensors after.safetensors
COLUMNS=80 diff before.safetensors before.safetensors
diff before.safetensors before.safetensors
diff before.safetensors after.safetensors --map 'model.*.*=x'
diff before.safetensors after.safetensors --map model
diff before.safetensors after.safetensors --map 'model=*'
diff before.safetensors after.safetensors --select xyz
diff before.safetensors after.safetensors --rtol -1
diff before.safetensors nowhere.pt
diff broken.pt nowhere.pt
diff before.safetensors
diff mixed.gguf mixed.gguf
diff configs/mlp.yaml before.safetensors --only names --columns name,change
diff - -
diff -h
init -h
rules -h
shared gpt2.safetensors
shared gpt2.safetensors --header
shared gpt2.safetensors --format csv
shared gpt2.safetensors --format json
shared gpt2.safetensors --format jsonl
shared gpt2.safetensors --format markdown
shared gpt2.safetensors --format names
COLUMNS=80 shared gpt2.safetensors
shared shared.pt
COLUMNS=80 shared shared.pt
COLUMNS=40 shared shared.pt
shared shared.pt --columns saved,name
shared shared.pt --columns alias
shared net.pt
COLUMNS=80 shared net.pt
shared training.pt
shared hostile.safetensors
shared nothing.pt --format json
shared broken.pt shared.pt gpt2.safetensors
shared broken.pt
shared shared.pt gpt2.safetensors --format json
shared shared.pt gpt2.safetensors --header --columns source,name
COLUMNS=80 shared shared.pt gpt2.safetensors
shared training.pt net.pt --equal
shared gpt2.safetensors --expect lm_head.weight,wte.weight
shared gpt2.safetensors --expect lm_head.weight,wpe.weight --expect wte.weight,lm_head.weigth
shared shared.pt gpt2.safetensors --expect a.table,b.table
shared gpt2.safetensors --expect lm_head.weight
shared gpt2.safetensors --expect-none
shared net.pt --expect-none
shared net.pt --expect-none --expect a,b
shared net.pt --expect-file nowhere.txt
shared net.pt --expect-file models.py
shared configs/shared_linear.yaml
COLUMNS=80 shared configs/shared_linear.yaml
shared aliased.yaml
shared unknown_type.yaml
shared -h
check evil.pkl
check evil.pkl --header --columns code,severity
check evil.pkl --format json
check evil.pkl --format jsonl
check evil.pkl --format csv
check evil.pkl --format markdown
check evil.pkl --format names
check evil.pkl --format sarif
COLUMNS=80 check evil.pkl
COLUMNS=50 check odd.pkl text.pkl cut.npy
check odd.pkl text.pkl cut.npy
check text.pkl cut.npy --fail-on danger -q
check cut.npy --fail-on danger --ignore truncated
check cut.npy --ignore trunkated
check evil.pkl --columns where
check nowhere.pkl evil.pkl
check evil.pkl --rule '*=zeros'
check configs/my_model.py:MyModel
COLUMNS=80 check configs/mlp.yaml
check configs/mlp.yaml --deep --rule '*weight=zeros' --rule '*bias=constant(1)'
check unknown_type.yaml
check -h

grad configs/shared_linear.yaml --rule '*=constant(3)'
grad configs/shared_linear.yaml --rule '*=constant(3)' --header
grad configs/shared_linear.yaml --rule '*=constant(3)' --uses
grad configs/shared_linear.yaml --rule '*=constant(3)' --uses --format json
grad configs/shared_linear.yaml --rule '*=constant(3)' --show
grad configs/shared_linear.yaml --rule '*=constant(3)' --show --format jsonl
grad configs/shared_linear.yaml --rule '*=constant(3)' --format markdown
COLUMNS=80 grad configs/shared_linear.yaml --rule '*=constant(3)'
COLUMNS=80 grad configs/shared_linear.yaml --rule '*=constant(3)' --uses
COLUMNS=80 grad configs/mlp.yaml --rule '*=constant(1)' -i '{shape: [2, 4], fill: 1}'
COLUMNS=80 grad configs/mlp.yaml --rule '*=constant(-1)' -i '{shape: [2, 4], fill: 1}'
COLUMNS=80 grad configs/mlp.yaml --rule '*=constant(-1)' -i '{shape: [2, 4], fill: 1}' --format table
COLUMNS=40 grad configs/mlp.yaml --rule '*=constant(-1)' -i '{shape: [2, 4], fill: 1}' --freeze '*.bias'
grad configs/mlp.yaml --rule '*=constant(1)' -i '{shape: [2, 4], fill: 1}' --steps 2 --header --columns name,state,uses,norm_std,untouched
grad configs/mlp.yaml -i 2,5
grad configs/mlp.yaml -i nowhere.npy
grad configs/mlp.yaml -i nonsense
grad configs/mlp.yaml -i b=2,4
grad configs/mlp.yaml -i '{shape: [2, 4], dtpye: int64}'
grad configs/mlp.yaml --freeze '*'
grad configs/mlp.yaml --loss sum --loss-file my_loss.py:loss
grad configs/mlp.yaml --loss sums
grad configs/mlp.yaml --loss sum --target 2,1
grad configs/mlp.yaml --loss-file loss
grad configs/mlp.yaml --fail-on zeros
grad configs/mlp.yaml --plot x.gif
grad configs/mlp.yaml --columns nrom
grad configs/mlp.yaml --show --format csv
grad configs/mlp.yaml --compare nowhere.safetensors
grad configs/mlp.yaml --device cuda
grad models.py:Scale --arg size=3
grad net.pt
grad nowhere.pt
grad broken.pt
grad unknown_type.yaml
grad -h

-h
list -h
tree --help
--version
--verson
""".strip().splitlines()


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("line", LINES)
def test_prints_as_before(run: Any, golden: Any, line: str) -> None:
    words = shlex.split(line)
    environ = dict(word.split("=", 1) for word in words if word.startswith("COLUMNS="))
    words = words[len(environ) :]
    golden.check(f"{line}".strip(), run(*words, terminal=bool(environ), **environ))


def test_golden_file_has_no_case_that_is_gone(golden: Any) -> None:
    assert golden.update or set(golden.known) == {line.strip() for line in LINES}
