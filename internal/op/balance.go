package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// BalanceLoss is the load-balancing loss of a model's routers, given the
// logits (...,E) of each, over the tokens of all layers together:
//
//	E sum_e f_e P_e
//
// f_e is the share of the tokens that have expert e among their topK, P_e the
// mean of the softmax probability of e: a scalar, topK if the load is even. f
// is taken as constant, so the gradient flows through P alone. It is the loss
// of the Switch Transformer (Fedus et al. 2021, arXiv:2101.03961, section 2.2)
// for topK > 1, as in Hugging Face's Mixtral.
func BalanceLoss(topK int, logits ...*gorgonia.Node) (*gorgonia.Node, error) {
	const name = "BalanceLoss"
	if len(logits) == 0 {
		return nil, errors.Errorf("op: %s: no logits, want those of at least one router", name)
	}
	rows, experts, err := rowsOf(name, logits[0])
	if err != nil {
		return nil, err
	}
	if err := checkTopK(name, topK, experts); err != nil {
		return nil, err
	}
	s := spec{name: name, in: logits, shape: tensor.ScalarShape(), reads: []int{output}}
	for i, n := range logits {
		if err := wantShape(name, "logits", n, logits[0].Shape()...); err != nil {
			return nil, err
		}
		s.reads = append(s.reads, i)
	}
	r := routing{rows: rows, experts: experts, k: topK}
	return build(s, &balance[float32]{routing: r}, &balance[float64]{routing: r})
}

type balance[T kernel.Float] struct {
	routing
	chosen []int32 // (rows,k) of the layer at hand
	probs  []T     // (rows,E) likewise
	sum    []T     // (E) of its probs over the rows
	count  []int   // (E) tokens of all layers that chose each expert
	f      []T     // (E) the same as a share of the tokens
}

func (b *balance[T]) forward(y []T, in *inputs[T]) error {
	b.chosen, b.probs = grow(b.chosen, b.rows*b.k), grow(b.probs, b.rows*b.experts)
	b.sum, b.f, b.count = grow(b.sum, b.experts), grow(b.f, b.experts), grow(b.count, b.experts)
	clear(b.count)
	for _, logits := range in.f {
		kernel.TopK(b.chosen, logits, b.rows, b.experts, b.k)
		for _, e := range b.chosen {
			b.count[e]++
		}
	}
	tokens := b.tokens(in)
	for e, n := range b.count {
		b.f[e] = T(float64(n) / tokens)
	}
	var sum float64 // of f_e p_e over all tokens
	for _, logits := range in.f {
		kernel.Softmax(b.probs, logits, b.rows, b.experts)
		kernel.SumRows(b.sum, b.probs, b.rows, b.experts)
		for e, p := range b.sum {
			sum += float64(b.f[e]) * float64(p)
		}
	}
	y[0] = T(float64(b.experts) / tokens * sum)
	return nil
}

// dlogits = dy E/tokens p (f - sum(f p))
func (b *balance[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	scale := T(float64(dy[0]) * float64(b.experts) / b.tokens(in))
	for i, logits := range in.f {
		kernel.BalanceBackward(d[i], logits, b.f, scale, b.rows, b.experts)
	}
	return nil
}

// tokens is the number of tokens of all layers together.
func (b *balance[T]) tokens(in *inputs[T]) float64 { return float64(b.rows * len(in.f)) }
