package gptblock_test

import (
	"context"
	"fmt"
	"log"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// A tiny GPT-2 learns to count modulo 7.
func Example() {
	params, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(1))
	if err != nil {
		log.Fatal(err)
	}
	config := gptblock.Config{
		Vocab: 7, Context: 8, Layers: 2, Channels: 16, Heads: 2,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm, Activation: gptblock.GELU,
		Norm: gptblock.NormLayer, NormBias: true, NormEps: 1e-5, Bias: true,
		Position: gptblock.PositionLearned, Tied: true,
		Init: gptblock.Init{ScaleResidual: true},
	}
	model, err := gptblock.New(params, config)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(config.Describe())

	tokens := gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(1, 8), gorgonia.WithName("tokens"))
	targets := gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(1, 8), gorgonia.WithName("targets"))
	loss, err := model.Loss(tokens, targets)
	if err != nil {
		log.Fatal(err)
	}
	program, err := graph.Compile(loss, params)
	if err != nil {
		log.Fatal(err)
	}
	defer program.Close()
	gs, err := groups.Split(params, groups.GPT2Policy())
	if err != nil {
		log.Fatal(err)
	}
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(1e-2))
	if err != nil {
		log.Fatal(err)
	}
	batch := graph.Feed{
		tokens:  []int32{0, 1, 2, 3, 4, 5, 6, 0},
		targets: []int32{1, 2, 3, 4, 5, 6, 0, 1},
	}
	for range 100 {
		result, err := program.Step(context.Background(), adamw, batch)
		if err != nil {
			log.Fatal(err)
		}
		if result.Step == 1 || result.Step == 100 {
			fmt.Printf("step %3d: loss %.2f\n", result.Step, result.Loss)
		}
	}
	// Output:
	// 2 layers, 16 channels, 2 heads, context 8, vocabulary 7: 6.832k parameters
	// step   1: loss 2.00
	// step 100: loss 0.00
}

// A layer in a graph of one's own, with a role that is stated once.
func ExampleNewLinear() {
	params, err := graph.NewParams(gorgonia.NewGraph())
	if err != nil {
		log.Fatal(err)
	}
	fc, err := gptblock.NewLinear(params, "fc", graph.Weight, 4, 2, gptblock.LinearOptions{Bias: true})
	if err != nil {
		log.Fatal(err)
	}
	x := gorgonia.NewMatrix(params.Graph(), tensor.Float32, gorgonia.WithShape(3, 4), gorgonia.WithName("x"))
	y, err := fc.Forward(x)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(y.Shape())
	for _, p := range params.All() {
		fmt.Println(p.Name(), p.Role(), p.Shape())
	}
	// Output:
	// (3, 2)
	// fc.weight weight (4, 2)
	// fc.bias bias (2)
}

// A model continues two prompts of different lengths, greedily and without a
// graph: each further token costs one pass of that token.
func ExampleDecoder() {
	params, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(1))
	if err != nil {
		log.Fatal(err)
	}
	model, err := gptblock.New(params, gptblock.Config{
		Vocab: 7, Context: 8, Layers: 2, Channels: 16, Heads: 2,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Activation: gptblock.SwiGLU,
		Norm: gptblock.NormRMS, NormEps: 1e-5, Position: gptblock.PositionRoPE,
	})
	if err != nil {
		log.Fatal(err)
	}
	decoder, err := gptblock.NewDecoder(model, 2)
	if err != nil {
		log.Fatal(err)
	}
	next := [][]int32{{1, 2, 3}, {4}}
	for range 3 {
		if err := decoder.Append(next); err != nil {
			log.Fatal(err)
		}
		for b := range next {
			logits := decoder.Logits(b)
			best := 0
			for token, z := range logits {
				if z > logits[best] {
					best = token
				}
			}
			next[b] = []int32{int32(best)}
		}
		fmt.Println(decoder.Len(0), decoder.Len(1), len(decoder.Logits(0)))
	}
	// Output:
	// 3 1 7
	// 4 2 7
	// 5 3 7
}
