package groups_test

import (
	"fmt"
	"os"

	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// layer describes a small model: no memory is needed for its weights.
func layer() *graph.Params {
	ps, _ := graph.NewParams(nil)
	wte, _ := ps.New("wte.weight", graph.TokenEmbedding, tensor.Shape{50257, 768}, nil)
	ps.New("h.0.ln_1.weight", graph.NormGain, tensor.Shape{768}, nil)
	ps.New("h.0.attn.c_attn.weight", graph.QKVWeight, tensor.Shape{768, 2304}, nil)
	ps.New("h.0.attn.c_attn.bias", graph.Bias, tensor.Shape{2304}, nil)
	ps.Tie("lm_head.weight", wte)
	return ps
}

func Example() {
	gs, err := groups.Split(layer(), groups.GPT2Policy(),
		groups.Rule{Name: "wte.*", Group: groups.NoDecay, Why: "rows of rare tokens would fade"})
	if err != nil {
		fmt.Println(err)
		return
	}
	gs.Report(nil).WriteText(os.Stdout)
	// Output:
	// policy gpt2 (karpathy/nanoGPT@3adf61e model.py, configure_optimizers: parameters of rank >= 2 decay)
	// name                    shape           count  role             group     lr mult  why
	// wte.weight              (50257,768)  38597376  token_embedding  no_decay        1  override name="wte.*" -> no_decay: rows of rare tokens would fade
	// lm_head.weight                                                                     tied to wte.weight
	// h.0.ln_1.weight         (768)             768  norm_gain        no_decay        1  norm parameters do not decay
	// h.0.attn.c_attn.weight  (768,2304)    1769472  qkv_weight       decay           1  matrices decay
	// h.0.attn.c_attn.bias    (2304)           2304  bias             no_decay        1  biases do not decay
	// decay: 1 tensors, 1769472 parameters
	// no_decay: 3 tensors, 38600448 parameters
}

func ExampleDiff() {
	ps := layer()
	a, _ := groups.Split(ps, groups.GPT2Policy())
	b, _ := groups.Split(ps, groups.MinGPTPolicy())
	changes, _ := groups.Diff(a, b)
	fmt.Print(changes)
	// Output:
	// wte.weight (38597376): decay -> no_decay (embeddings are of rank 2 and decay; embeddings are blacklisted)
}
