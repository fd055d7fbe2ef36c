package gptblock

import (
	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/kernel"
)

// The layers of a Decoder: the functions that the layers of a Model put on the
// graph, over rows of slices, with the model's own weights.

// weightReader gives the elements of parameters, in place, and remembers the
// first error.
type weightReader[T kernel.Float] struct{ err error }

// of are the elements of p, nil if p is.
func (r *weightReader[T]) of(p *graph.Param) []T {
	if p == nil || r.err != nil {
		return nil
	}
	f32, f64, err := graph.Floats(p.Value())
	if err != nil {
		r.err = errors.Wrap(err, p.Name())
		return nil
	}
	for _, x := range []any{f32, f64} {
		if w, ok := x.([]T); ok && w != nil {
			return w
		}
	}
	r.err = errors.Errorf("gptblock: dtype of %s = %v, want that of the head", p.Name(), p.Dtype())
	return nil
}

// matrix is a Linear.
type matrix[T kernel.Float] struct {
	in, out int
	outIn   bool
	w, b    []T // b is nil without a bias
}

func readMatrix[T kernel.Float](r *weightReader[T], l *Linear) matrix[T] {
	if l == nil {
		return matrix[T]{}
	}
	s := l.Weight.Shape()
	m := matrix[T]{in: s[0], out: s[1], w: r.of(l.Weight), b: r.of(l.Bias)}
	if l.o.OutIn {
		m.in, m.out, m.outIn = s[1], s[0], true
	}
	return m
}

// apply sets y (rows,out) = x W + b of x (rows,in).
func (m *matrix[T]) apply(w *scratch[T], y, x []T, rows int) {
	if w.few {
		kernel.LinearRows(y, x, m.w, m.outIn, rows, m.in, m.out)
	} else {
		ld := m.out
		if m.outIn {
			ld = m.in
		}
		kernel.Gemm(false, m.outIn, rows, m.out, m.in, 1, x, m.in, m.w, ld, 0, y, m.out)
	}
	if m.b != nil {
		kernel.AddBias(y, m.b, rows, m.out)
	}
}

// normalizer is a LayerNorm or an RMSNorm.
type normalizer[T kernel.Float] struct {
	rms        bool
	gain, bias []T
	eps        T
}

// readNorm returns nil for no norm.
func readNorm[T kernel.Float](r *weightReader[T], l Layer) *normalizer[T] {
	switch l := l.(type) {
	case *LayerNorm:
		return &normalizer[T]{gain: r.of(l.Gain), bias: r.of(l.Bias), eps: T(l.eps)}
	case *RMSNorm:
		return &normalizer[T]{rms: true, gain: r.of(l.Gain), eps: T(l.eps)}
	}
	return nil
}

// apply normalizes the rows of x into y, which may be x.
func (n *normalizer[T]) apply(w *scratch[T], y, x []T, rows int) {
	cols := len(n.gain)
	w.mean, w.rstd = resize(w.mean, rows), resize(w.rstd, rows)
	if n.rms {
		kernel.RMSNorm(y, w.rstd, x, n.gain, rows, cols, n.eps)
	} else {
		kernel.LayerNorm(y, w.mean, w.rstd, x, n.gain, n.bias, rows, cols, n.eps)
	}
}

// feedForward is what stands in the place of an MLP.
type feedForward[T kernel.Float] interface {
	// apply sets y (rows,C) to the layer's result of x (rows,C).
	apply(w *scratch[T], y, x []T, rows int)
}

func readFeedForward[T kernel.Float](r *weightReader[T], l Layer) feedForward[T] {
	switch l := l.(type) {
	case *MLP:
		return &perceptron[T]{readMatrix(r, l.Gate), readMatrix(r, l.Up), readMatrix(r, l.Down), l.act}
	case *Mixture:
		m := &expertMixture[T]{router: readMatrix(r, l.Router), topK: l.o.TopK, renormalize: l.o.Router == RouterTopKSoftmax}
		for _, e := range l.Experts {
			m.experts = append(m.experts, perceptron[T]{readMatrix(r, e.Gate), readMatrix(r, e.Up), readMatrix(r, e.Down), l.o.Activation})
		}
		return m
	}
	return nil
}

// perceptron is an MLP, or one expert.
type perceptron[T kernel.Float] struct {
	gate, up, down matrix[T] // gate is used by gated activations only
	act            Activation
}

func (m *perceptron[T]) apply(w *scratch[T], y, x []T, rows int) {
	w.hidden = resize(w.hidden, rows*m.up.out)
	h := w.hidden
	m.up.apply(w, h, x, rows) // (rows,F)
	if m.act.Gated() {
		w.gate = resize(w.gate, rows*m.up.out)
		m.gate.apply(w, w.gate, x, rows) // (rows,F)
	}
	switch m.act {
	case GELU:
		kernel.GELUTanh(h, h)
	case GELUErf:
		kernel.GELUErf(h, h)
	case SwiGLU:
		kernel.SwiGLU(h, w.gate, h)
	case GeGLU:
		kernel.GeGLU(h, w.gate, h)
	}
	m.down.apply(w, y, h, rows) // (rows,C)
}

// expertMixture is a Mixture: each expert works on the rows of its own tokens.
type expertMixture[T kernel.Float] struct {
	router      matrix[T]
	experts     []perceptron[T]
	topK        int
	renormalize bool
}

func (m *expertMixture[T]) apply(w *scratch[T], y, x []T, rows int) {
	e, c := len(m.experts), m.router.in
	w.scores, w.probs, w.gates = resize(w.scores, rows*e), resize(w.probs, rows*e), resize(w.gates, rows*e)
	w.chosen = resize(w.chosen, rows*m.topK)
	m.router.apply(w, w.scores, x, rows) // (rows,E)
	router := kernel.Router[T]{Rows: rows, Experts: e, K: m.topK, Renormalize: m.renormalize}
	router.Forward(w.gates, w.probs, w.chosen, w.scores)
	w.dispatch.Sort(w.gates, rows, e)
	slots := w.dispatch.Slots()
	w.slots, w.results = resize(w.slots, slots*c), resize(w.results, slots*c)
	w.dispatch.Gather(w.slots, x, c) // (S,C)
	for i := range m.experts {
		if lo, hi := w.dispatch.Range(i); lo < hi {
			m.experts[i].apply(w, w.results[lo*c:hi*c], w.slots[lo*c:hi*c], hi-lo)
		}
	}
	w.dispatch.Combine(y, w.results, true, c) // (rows,C)
}
