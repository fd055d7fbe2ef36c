package hf_test

import (
	"fmt"
	"os"

	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// A LLaMA is saved in BF16 for transformers, and made again from its folder.
func Example() {
	dir, err := os.MkdirTemp("", "gorget-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	config := gptblock.Config{
		Vocab: 100, Context: 32, Layers: 2, Channels: 16, Heads: 4, KVHeads: 2, Hidden: 48,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-5,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE,
	}
	ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := gptblock.New(ps, config); err != nil {
		fmt.Println(err)
		return
	}
	err = hf.Save(dir, ps, config, hf.SaveOptions{Dtype: safetensors.BF16, Extra: map[string]any{"eos_token_id": 2}})
	if err != nil {
		fmt.Println(err)
		return
	}

	ps, err = graph.NewParams(gorgonia.NewGraph(), graph.WithoutInit())
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := hf.New(ps, dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hf.ModelType(model.Config), model.Config.Describe())
	// Output: llama 2 layers, 16 channels, 4 heads (2 kv), context 32, vocabulary 100: 9.424k parameters
}
