package op

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// HeadOptions are the variants of [LinearCrossEntropy].
type HeadOptions struct {
	LossOptions
	LogitScale   float64 // 0 means 1
	LogitSoftCap float64 // cap tanh(logit/cap); 0 means none
	// Embedding is the node of the Embedding of which h is made and whose table
	// is w. It saves time and memory to tell: the gradients of both uses are
	// then computed in one buffer.
	Embedding *gorgonia.Node
}

// LinearCrossEntropy is CrossEntropy of the logits LogitScale h W' of hidden
// states h (...,C), w (V,C) and integer targets, one a row of h: a scalar.
//
// The logits of all rows never exist: they are made, used and forgotten for a
// chunk of rows at a time. If the op was differentiated, the gradients are
// computed in the forward pass, while a chunk's logits are there; the backward
// pass multiplies them by the gradient of the loss, if that is not 1.
func LinearCrossEntropy(h, w, targets *gorgonia.Node, o HeadOptions) (*gorgonia.Node, error) {
	const name = "LinearCrossEntropy"
	rows, channels, err := rowsOf(name, h)
	if err != nil {
		return nil, err
	}
	if w == nil || w.Dims() != 2 {
		return nil, errors.Errorf("op: %s: w = %v, want a matrix (V,C)", name, w)
	}
	vocab := w.Shape()[0]
	if err := wantShape(name, "w", w, vocab, channels); err != nil {
		return nil, err
	}
	l, err := newLoss(name, rows, vocab, targets, o.LossOptions)
	if err != nil {
		return nil, err
	}
	if o.LogitScale == 0 {
		o.LogitScale = 1
	}
	if math.IsNaN(o.LogitScale) || !(o.LogitSoftCap >= 0) {
		return nil, errors.Errorf("op: %s: logit scale = %v and soft-cap = %v, want a number and one >= 0", name, o.LogitScale, o.LogitSoftCap)
	}
	s := spec{name: name, in: gorgonia.Nodes{h, w, targets}, shape: tensor.ScalarShape(), reads: []int{0, 1, 2, output}}
	f32, f64 := newHead[float32](l, channels, o), newHead[float64](l, channels, o)
	if tie(o.Embedding, h, w, f32) || tie(o.Embedding, h, w, f64) {
		s.elsewhere = []int{1}
	}
	return build(s, f32, f64)
}

type head[T kernel.Float] struct {
	crossEntropy[T]
	channels   int
	scale, cap float64
	chunk      int // rows
	logits     []T // (chunk,V)
	dlogits    []T // (chunk,V), used with a soft-cap only
	early      *gradients[T]
	ready      [][]T // the gradients that the last forward pass has computed
}

func newHead[T kernel.Float](l loss, channels int, o HeadOptions) *head[T] {
	return &head[T]{
		crossEntropy: crossEntropy[T]{loss: l}, channels: channels,
		scale: o.LogitScale, cap: o.LogitSoftCap, chunk: headChunk(l.rows, l.vocab),
	}
}

// headChunk is the number of rows whose logits exist at a time: 16 Mi logits,
// but enough rows for a matrix product at full speed.
func headChunk(rows, vocab int) int {
	const logits, least = 16 << 20, 64
	return min(rows, max(least, logits/vocab/least*least))
}

// differentiate makes the forward pass compute the gradients too.
func (h *head[T]) differentiate(g *gradients[T]) {
	h.early = g
	for _, b := range g.of {
		b.private = true
	}
}

func (h *head[T]) forward(y []T, in *inputs[T]) error {
	if err := h.count(in.ids[2]); err != nil {
		return err
	}
	h.ready = nil
	if h.early != nil {
		h.ready = h.early.slices()
	}
	h.pass(in, h.ready)
	y[0] = T(kernel.Sum(h.perRow) * h.share())
	return nil
}

func (h *head[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	// The LispMachine has gradients of its own, which no forward pass made.
	if h.ready == nil || &h.ready[0] != &d[0] {
		h.pass(in, d)
	}
	for _, x := range d {
		if x != nil && dy[0] != 1 {
			kernel.Scale(x, dy[0], x)
		}
	}
	return nil
}

// pass computes the loss of each row and, unless d is nil, the gradients of
// the mean loss:
//
//	z = LogitScale h W',  dh = LogitScale dz W,  dW = LogitScale dz' h
func (h *head[T]) pass(in *inputs[T], d [][]T) {
	x, w, targets := in.f[0], in.f[1], in.ids[2]
	c, v := h.channels, h.vocab
	h.perRow, h.lse, h.logits = grow(h.perRow, h.rows), grow(h.lse, h.rows), grow(h.logits, h.chunk*v)
	for lo := 0; lo < h.rows; lo += h.chunk {
		hi := min(lo+h.chunk, h.rows)
		n, x, z := hi-lo, x[lo*c:hi*c], h.logits[:(hi-lo)*v]
		kernel.Gemm(false, true, n, v, c, T(h.scale), x, c, w, c, 0, z, v) // (n,V)
		dz := h.losses(lo, hi, z, targets[lo:hi], d != nil)
		if d == nil {
			continue
		}
		if dx := d[0]; dx != nil {
			kernel.Gemm(false, false, n, c, v, T(h.scale), dz, v, w, c, 0, dx[lo*c:hi*c], c)
		}
		if dw := d[1]; dw != nil {
			kernel.Gemm(true, false, v, c, n, T(h.scale), dz, v, x, c, T(min(lo, 1)), dw, c)
		}
	}
}

// losses sets the losses of rows lo to hi, given their logits z, and returns
// the gradient by z if it is wanted.
func (h *head[T]) losses(lo, hi int, z []T, targets []int32, wanted bool) (dz []T) {
	ce := h.kernel(h.share())
	ce.Rows = hi - lo
	perRow, lse := h.perRow[lo:hi], h.lse[lo:hi]
	if h.cap > 0 {
		kernel.SoftCap(z, z, T(h.cap))
	}
	switch {
	case !wanted:
		ce.Forward(perRow, lse, z, targets)
		return nil
	case h.cap == 0:
		ce.ForwardBackward(perRow, lse, z, z, targets)
		return z
	}
	h.dlogits = grow(h.dlogits, h.chunk*h.vocab)
	dz = h.dlogits[:len(z)]
	ce.ForwardBackward(perRow, lse, dz, z, targets)
	kernel.SoftCapBackward(dz, z, dz, T(h.cap))
	return dz
}
