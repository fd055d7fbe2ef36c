package main

import (
	"context"
	"math"
	"math/rand/v2"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// temperature of the demo's sample: a little below 1 for fewer odd words.
const temperature = 0.8

// generate continues a line break by n tokens.
func (m *model) generate(n int) (string, error) {
	if n == 0 {
		return "", nil
	}
	shared, err := m.params.Share(gorgonia.NewGraph())
	if err != nil {
		return "", err
	}
	gpt, err := gptblock.New(shared, m.o.Exp.Config.Eval())
	if err != nil {
		return "", err
	}
	T, V := m.o.Exp.Config.Context, m.o.Exp.Config.Vocab
	ids := gorgonia.NewMatrix(shared.Graph(), tensor.Int32, gorgonia.WithShape(1, T), gorgonia.WithName("ids"))
	logits, err := gpt.Logits(ids) // (1,T,V)
	if err != nil {
		return "", err
	}
	cost, err := gorgonia.Sum(logits)
	if err != nil {
		return "", err
	}
	prog, err := graph.Compile(cost, shared, graph.ForwardOnly(), graph.Keep(logits))
	if err != nil {
		return "", err
	}
	defer prog.Close()

	rng := rand.New(rand.NewPCG(m.o.Seed, 1))
	tokens := []int32{m.text.firstToken()}
	window := make([]int32, T)
	for range n {
		seen := tokens[max(0, len(tokens)-T):]
		clear(window)
		copy(window, seen)
		if _, err := prog.Eval(context.Background(), graph.Feed{ids: window}); err != nil {
			return "", err
		}
		all := prog.Value(logits).(*tensor.Dense).Float32s()
		tokens = append(tokens, pick(rng, all[(len(seen)-1)*V:len(seen)*V]))
	}
	return m.text.tok.Decode(tokens[1:])
}

// firstToken is what a sample begins after: a line break, if there is one.
func (t *text) firstToken() int32 {
	if ids, err := t.tok.Encode("\n"); err == nil && len(ids) > 0 {
		return ids[0]
	}
	return 0
}

// pick draws a token by softmax(logits/temperature).
func pick(rng *rand.Rand, logits []float32) int32 {
	top := float32(math.Inf(-1))
	for _, z := range logits {
		top = max(top, z)
	}
	p, sum := make([]float64, len(logits)), 0.0
	for i, z := range logits {
		p[i] = math.Exp(float64(z-top) / temperature)
		sum += p[i]
	}
	u := rng.Float64() * sum
	for i, x := range p {
		if u -= x; u < 0 {
			return int32(i)
		}
	}
	return int32(len(p) - 1)
}
