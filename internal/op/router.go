package op

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// RouteOptions say how the logits of a router become gates.
type RouteOptions struct {
	TopK        int  // experts a token
	Renormalize bool // the gates of a token sum to 1, by a softmax over its TopK logits (Mixtral)
}

// Route chooses the TopK experts of each token by the logits (...,E) of a
// router and returns their gates (...,E), the weights of their results: the
// softmax over all E logits, cut to the chosen experts and, if Renormalize,
// divided by its sum, which is the softmax over the chosen logits alone
// (Mixtral, Jiang et al. 2024, arXiv:2401.04088, section 2.1). Other gates
// are 0. Of equal logits the expert of lower index is chosen.
//
// The node's op has a method RouterStats() [RouterStats] about the last run.
func Route(logits *gorgonia.Node, o RouteOptions) (*gorgonia.Node, error) {
	rows, experts, err := rowsOf("Route", logits)
	if err != nil {
		return nil, err
	}
	if err := checkTopK("Route", o.TopK, experts); err != nil {
		return nil, err
	}
	r := routing{rows, experts, o.TopK, o.Renormalize}
	s := spec{name: "Route", in: gorgonia.Nodes{logits}, shape: logits.Shape(), reads: []int{output}}
	return build(s, &router[float32]{routing: r}, &router[float64]{routing: r})
}

func checkTopK(op string, k, experts int) error {
	if k < 1 || k > experts {
		return errors.Errorf("op: %s: top-k = %d, want 1 <= k <= %d, the number of experts", op, k, experts)
	}
	return nil
}

type routing struct {
	rows, experts, k int
	renormalize      bool
}

type router[T kernel.Float] struct {
	routing
	probs  []T     // (rows,E) softmax of the logits
	chosen []int32 // (rows,k)
}

func (r *router[T]) kernel() kernel.Router[T] {
	return kernel.Router[T]{Rows: r.rows, Experts: r.experts, K: r.k, Renormalize: r.renormalize}
}

func (r *router[T]) forward(y []T, in *inputs[T]) error {
	r.probs, r.chosen = grow(r.probs, r.rows*r.experts), grow(r.chosen, r.rows*r.k)
	r.kernel().Forward(y, r.probs, r.chosen, in.f[0])
	return nil
}

func (r *router[T]) backward(d [][]T, dy, _ []T, _ *inputs[T]) error {
	r.kernel().Backward(d[0], dy, r.probs, r.chosen)
	return nil
}

// RouterStats is what one router did in one run. It is empty before the first.
type RouterStats struct {
	Tokens      []int     // by expert: tokens that chose it; they sum to TopK times the number of tokens
	Probability []float64 // by expert: mean over the tokens of the softmax over all experts
	Entropy     float64   // of that softmax in nats, mean over the tokens: 0 is certain, log(E) undecided
}

// RouterStats counts and averages over the tokens of the last run.
func (r *router[T]) RouterStats() RouterStats {
	if r.probs == nil {
		return RouterStats{}
	}
	s := RouterStats{Tokens: make([]int, r.experts), Probability: make([]float64, r.experts)}
	for _, e := range r.chosen {
		s.Tokens[e]++
	}
	for i, p := range r.probs {
		p := float64(p)
		s.Probability[i%r.experts] += p / float64(r.rows)
		if p > 0 { // p log p goes to 0 with p
			s.Entropy -= p * math.Log(p) / float64(r.rows)
		}
	}
	return s
}

// routerStater is a function that keeps statistics of its last run.
type routerStater interface{ RouterStats() RouterStats }

// routerOp is the op of a router, which shows its statistics.
type routerOp[T kernel.Float] struct {
	*forward[T]
	routerStater
}
