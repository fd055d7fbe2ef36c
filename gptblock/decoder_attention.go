package gptblock

import (
	"math"

	"github.com/gorget/gorget/internal/kernel"
)

// decoderAttention is a CausalSelfAttention with its cache.
type decoderAttention[T kernel.Float] struct {
	shape   kernel.AttentionShape // without T and Past
	qkv     matrix[T]             // in LayoutGPT2
	q, k, v matrix[T]             // in LayoutLlama
	packed  bool
	out     matrix[T]
	cache   keyCache[T]
}

func readAttention[T kernel.Float](r *weightReader[T], a *CausalSelfAttention, c Config, batch, window int) decoderAttention[T] {
	s := kernel.AttentionShape{
		B: 1, H: c.Heads, K: c.KVHeads, D: c.HeadSize,
		Scale: c.AttentionScale, Window: window, SoftCap: c.AttentionSoftCap,
	}
	if s.Scale == 0 {
		s.Scale = 1 / math.Sqrt(float64(s.D))
	}
	return decoderAttention[T]{
		shape: s, packed: a.QKV != nil,
		qkv: readMatrix(r, a.QKV), q: readMatrix(r, a.Q), k: readMatrix(r, a.K), v: readMatrix(r, a.V),
		out:   readMatrix(r, a.Out),
		cache: newKeyCache[T](batch, c.Context, window, s.K*s.D),
	}
}

// strided is a matrix whose rows lie ld elements apart.
type strided[T kernel.Float] struct {
	data []T
	ld   int
}

// at is the matrix from a row on.
func (s strided[T]) at(row int) []T { return s.data[row*s.ld:] }

// project computes queries, keys and values of x (N,C).
func (a *decoderAttention[T]) project(w *scratch[T], x []T, rows int) (q, k, v strided[T]) {
	hd, kd := a.shape.H*a.shape.D, a.shape.K*a.shape.D
	w.qkv = resize(w.qkv, rows*(hd+2*kd))
	if a.packed {
		a.qkv.apply(w, w.qkv, x, rows)
		ld := hd + 2*kd
		return strided[T]{w.qkv, ld}, strided[T]{w.qkv[hd:], ld}, strided[T]{w.qkv[hd+kd:], ld}
	}
	q, k, v = strided[T]{w.qkv, hd}, strided[T]{w.qkv[rows*hd:], kd}, strided[T]{w.qkv[rows*(hd+kd):], kd}
	a.q.apply(w, q.data, x, rows)
	a.k.apply(w, k.data, x, rows)
	a.v.apply(w, v.data, x, rows)
	return q, k, v
}

// attend sets y (N,C) to the attention of x (N,C) to itself and to what each
// sequence has seen before.
func (n *network[T]) attend(a *decoderAttention[T], y, x []T, rows int, spans []span) {
	w, s := &n.scratch, a.shape
	hd, kd := s.H*s.D, s.K*s.D
	q, k, v := a.project(w, x, rows)
	w.attended = resize(w.attended, rows*hd)
	for _, p := range spans {
		s.T = p.hi - p.lo
		s.Past = a.cache.place(p.sequence, p.past, s.T)
		keys, values := a.cache.of(p.sequence)
		if n.rope != nil {
			kernel.RoPE(n.rope, kernel.RoPEHalf, false, p.past, q.at(p.lo), q.ld, q.at(p.lo), q.ld, 1, s.T, s.H)
			kernel.RoPE(n.rope, kernel.RoPEHalf, false, p.past, keys[s.Past*kd:], kd, k.at(p.lo), k.ld, 1, s.T, s.K)
		} else {
			copyRows(keys[s.Past*kd:], kd, k.at(p.lo), k.ld, s.T)
		}
		copyRows(values[s.Past*kd:], kd, v.at(p.lo), v.ld, s.T)
		if n.visible != nil {
			first := p.sequence*n.c.Context + a.cache.first[p.sequence]
			s.KeyMask = n.visible[first:][:s.Past+s.T]
		}
		kernel.AttentionForward(s, w.attended[p.lo*hd:], hd, nil, q.at(p.lo), q.ld, keys, kd, values, kd)
	}
	a.out.apply(w, y, w.attended, rows)
}

// copyRows copies rows of width elements, ld apart, to consecutive ones.
func copyRows[T kernel.Float](dst []T, width int, src []T, ld, rows int) {
	for r := range rows {
		copy(dst[r*width:][:width], src[r*ld:])
	}
}
