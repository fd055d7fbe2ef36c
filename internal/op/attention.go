package op

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// AttentionOptions are the variants of [Attention]. Only Heads and HeadSize
// must be set.
type AttentionOptions struct {
	Heads, HeadSize int
	KVHeads         int            // divides Heads; 0 means Heads
	Scale           float64        // of the logits; 0 means 1/sqrt(HeadSize)
	Window          int            // keys that a query sees, itself included; 0 means all before it
	SoftCap         float64        // cap tanh(logit/cap); 0 means none
	RoPE            *RoPE          // nil means none
	Dropout         float64        // of the probabilities
	Random          Random         // used if Dropout > 0
	Tokens          *gorgonia.Node // ids (B,T): keys whose id is Pad are masked; nil means none are
	Pad             int
}

// Attention is causal multi-head attention
//
//	softmax(Scale q k' + mask) v
//
// of q (B,T,H*D), k and v (B,T,K*D), or of one packed input (B,T,(H+2K)*D)
// that holds q, k and v in this order: (B,T,H*D). Query head h reads kv head
// h/(H/K): K = H is multi-head, 1 < K < H grouped-query (Ainslie et al. 2023,
// arXiv:2305.13245), K = 1 multi-query attention (Shazeer 2019,
// arXiv:1911.02150).
func Attention(o AttentionOptions, qkv ...*gorgonia.Node) (*gorgonia.Node, error) {
	a, err := newAttention(o, qkv)
	if err != nil {
		return nil, err
	}
	s := spec{name: "Attention", in: qkv, shape: tensor.Shape{a.B, a.T, a.H * a.D}, reads: []int{output}}
	for i := range qkv {
		s.reads = append(s.reads, i)
	}
	also := func(n *gorgonia.Node) int {
		s.in = append(s.in, n)
		s.reads = append(s.reads, len(s.in)-1)
		return len(s.in) - 1
	}
	if o.Dropout > 0 {
		if err := o.Random.check("Attention", o.Dropout); err != nil {
			return nil, err
		}
		a.Key = o.Random.key()
		a.clock = also(o.Random.Clock)
	}
	if o.Tokens != nil {
		if err := wantShape("Attention", "tokens", o.Tokens, a.B, a.T); err != nil {
			return nil, err
		}
		a.tokens, a.pad = also(o.Tokens), int32(o.Pad)
	}
	return build(s, &attention[float32]{attentionShape: a}, &attention[float64]{attentionShape: a})
}

type attentionShape struct {
	kernel.AttentionShape
	packed        bool
	rope          *RoPE
	clock, tokens int // input number, 0 if there is none
	pad           int32
}

func newAttention(o AttentionOptions, qkv []*gorgonia.Node) (a attentionShape, err error) {
	if o.KVHeads == 0 {
		o.KVHeads = o.Heads
	}
	if o.Scale == 0 {
		o.Scale = 1 / math.Sqrt(float64(o.HeadSize))
	}
	switch {
	case o.Heads < 1 || o.KVHeads < 1 || o.Heads%o.KVHeads != 0:
		return a, errors.Errorf("op: Attention: heads = %d and kv heads = %d, want positive numbers, the second dividing the first", o.Heads, o.KVHeads)
	case o.HeadSize < 1 || o.HeadSize > kernel.MaxHeadSize:
		return a, errors.Errorf("op: Attention: head size = %d, want 1 to %d", o.HeadSize, kernel.MaxHeadSize)
	case !(o.Scale > 0) || math.IsInf(o.Scale, 1):
		return a, errors.Errorf("op: Attention: scale = %v, want a positive number", o.Scale)
	case o.Window < 0:
		return a, errors.Errorf("op: Attention: window = %d, want window >= 0", o.Window)
	case !(o.SoftCap >= 0):
		return a, errors.Errorf("op: Attention: soft-cap = %v, want soft-cap >= 0", o.SoftCap)
	case !(o.Dropout >= 0 && o.Dropout < 1):
		return a, errors.Errorf("op: Attention: dropout = %v, want 0 <= dropout < 1", o.Dropout)
	case len(qkv) != 1 && len(qkv) != 3 || qkv[0] == nil || qkv[0].Dims() != 3:
		return a, errors.Errorf("op: Attention: inputs = %v, want q, k and v or one packed (B,T,(H+2K)*D)", gorgonia.Nodes(qkv))
	case o.RoPE != nil && o.HeadSize%2 != 0:
		return a, errors.Errorf("op: Attention: head size = %d, want an even one for RoPE", o.HeadSize)
	}
	a.AttentionShape = kernel.AttentionShape{
		B: qkv[0].Shape()[0], T: qkv[0].Shape()[1], H: o.Heads, K: o.KVHeads, D: o.HeadSize,
		Scale: o.Scale, Window: o.Window, SoftCap: o.SoftCap, Dropout: o.Dropout,
	}
	a.packed, a.rope = len(qkv) == 1, o.RoPE
	names, widths := []string{"q", "k", "v"}, []int{a.H * a.D, a.K * a.D, a.K * a.D}
	if a.packed {
		names, widths = []string{"qkv"}, []int{(a.H + 2*a.K) * a.D}
	}
	for i, n := range qkv {
		if err := wantShape("Attention", names[i], n, a.B, a.T, widths[i]); err != nil {
			return a, err
		}
	}
	return a, nil
}

type attention[T kernel.Float] struct {
	attentionShape
	lse  []T    // (B,H,T)
	mask []bool // (B,T)
}

// operand is a matrix of B*T rows inside of a slice.
type operand[T kernel.Float] struct {
	data []T
	ld   int // from row to row
}

// operands splits the first inputs, or their gradients, into q, k and v.
func (a *attention[T]) operands(x [][]T) (q, k, v operand[T]) {
	if a.packed {
		ld := (a.H + 2*a.K) * a.D
		return operand[T]{x[0], ld}, operand[T]{x[0][a.H*a.D:], ld}, operand[T]{x[0][(a.H+a.K)*a.D:], ld}
	}
	return operand[T]{x[0], a.H * a.D}, operand[T]{x[1], a.K * a.D}, operand[T]{x[2], a.K * a.D}
}

func (a *attention[T]) forward(y []T, in *inputs[T]) error {
	s := a.shape(in)
	a.lse = grow(a.lse, a.B*a.H*a.T)
	q, k, v := a.operands(in.f)
	q, k = a.rotate(q, k)
	kernel.AttentionForward(s, y, a.H*a.D, a.lse, q.data, q.ld, k.data, k.ld, v.data, v.ld)
	return nil
}

func (a *attention[T]) backward(d [][]T, dy, y []T, in *inputs[T]) error {
	s := a.shape(in)
	q, k, v := a.operands(in.f)
	q, k = a.rotate(q, k)
	dq, dk, dv := a.operands(d)
	kernel.AttentionBackward(s, dq.data, dq.ld, dk.data, dk.ld, dv.data, dv.ld,
		dy, a.H*a.D, y, a.H*a.D, a.lse, q.data, q.ld, k.data, k.ld, v.data, v.ld)
	if a.rope != nil {
		table := tableOf[T](a.rope, a.T, a.D)
		kernel.RoPE(table, a.rope.pairing(), true, 0, dq.data, dq.ld, dq.data, dq.ld, a.B, a.T, a.H)
		kernel.RoPE(table, a.rope.pairing(), true, 0, dk.data, dk.ld, dk.data, dk.ld, a.B, a.T, a.K)
	}
	return nil
}

// shape is the kernel's shape with this run's clock and mask.
func (a *attention[T]) shape(in *inputs[T]) kernel.AttentionShape {
	s := a.AttentionShape
	if a.clock > 0 {
		s.Ctr = counter(in.ids[a.clock])
	}
	if a.tokens > 0 {
		a.mask = grow(a.mask, a.B*a.T)
		for i, id := range in.ids[a.tokens] {
			a.mask[i] = id != a.pad
		}
		s.KeyMask = a.mask
	}
	return s
}

// rotate applies RoPE to q and k, in memory that all layers share; without
// RoPE it returns them as they are. The backward pass rotates again rather
// than keep the copies of every layer.
func (a *attention[T]) rotate(q, k operand[T]) (rq, rk operand[T]) {
	if a.rope == nil {
		return q, k
	}
	state, table, rows := ropeStateOf[T](a.rope), tableOf[T](a.rope, a.T, a.D), a.B*a.T
	state.memory = grow(state.memory, rows*(a.H+a.K)*a.D)
	rq = operand[T]{state.memory[:rows*a.H*a.D], a.H * a.D}
	rk = operand[T]{state.memory[rows*a.H*a.D:], a.K * a.D}
	kernel.RoPE(table, a.rope.pairing(), false, 0, rq.data, rq.ld, q.data, q.ld, a.B, a.T, a.H)
	kernel.RoPE(table, a.rope.pairing(), false, 0, rk.data, rk.ld, k.data, k.ld, a.B, a.T, a.K)
	return rq, rk
}
