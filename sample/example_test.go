package sample_test

import (
	"context"
	"fmt"
	"log"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/sample"
	"github.com/gorget/gorget/solvers"
)

// A tiny model learns to count modulo 7, and goes on counting from two prompts.
func ExampleGenerate() {
	model, err := counter()
	if err != nil {
		log.Fatal(err)
	}
	decoder, err := gptblock.NewDecoder(model, 2)
	if err != nil {
		log.Fatal(err)
	}
	prompts := [][]int32{{2, 3}, {6}}
	options := sample.Options{MaxNew: 8, Stop: []int32{1}, Temperature: 0.5, TopP: 0.9}
	sequences, err := sample.Generate(context.Background(), decoder, prompts, options, nil)
	if err != nil {
		log.Fatal(err)
	}
	for i, s := range sequences {
		fmt.Println(prompts[i], s.Tokens, s.Reason)
	}
	// Output:
	// [2 3] [4 5 6 0] stop_token
	// [6] [0] stop_token
}

// counter is a model that has learnt to count.
func counter() (*gptblock.Model, error) {
	params, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(1))
	if err != nil {
		return nil, err
	}
	model, err := gptblock.New(params, gptblock.Config{
		Vocab: 7, Context: 16, Layers: 2, Channels: 16, Heads: 2,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Activation: gptblock.SwiGLU,
		Norm: gptblock.NormRMS, NormEps: 1e-5, Position: gptblock.PositionRoPE,
	})
	if err != nil {
		return nil, err
	}
	ids := gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(7, 8), gorgonia.WithName("ids"))
	targets := gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(7, 8), gorgonia.WithName("targets"))
	loss, err := model.Loss(ids, targets)
	if err != nil {
		return nil, err
	}
	program, err := graph.Compile(loss, params)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	gs, err := groups.Split(params, groups.GPT2Policy())
	if err != nil {
		return nil, err
	}
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(1e-2))
	if err != nil {
		return nil, err
	}
	var now, next []int32
	for i := range int32(7 * 8) {
		now, next = append(now, (i/8+i%8)%7), append(next, (i/8+i%8+1)%7)
	}
	for range 60 {
		if _, err := program.Step(context.Background(), adamw, graph.Feed{ids: now, targets: next}); err != nil {
			return nil, err
		}
	}
	return model, nil
}
