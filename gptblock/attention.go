package gptblock

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// RoPE is a rotary position embedding (Su et al. 2021, arXiv:2104.09864), to be
// shared by the attention layers of one graph. It has no parameters.
type RoPE struct{ op *op.RoPE }

// NewRoPE makes a RoPE of base theta, commonly 1e4. It pairs channel i of a
// head with i+D/2, as Hugging Face stores weights; interleaved, it pairs 2i
// with 2i+1, as Meta does.
func NewRoPE(theta float64, interleaved bool) (*RoPE, error) {
	r, err := op.NewRoPE(theta, interleaved)
	return &RoPE{r}, err
}

// AttentionOptions are the variants of [NewCausalSelfAttention]. The zero value
// of each field but Heads is GPT-2's choice.
type AttentionOptions struct {
	Heads    int
	KVHeads  int     // divides Heads; 0 means Heads. 1 is multi-query attention
	HeadSize int     // 0 means channels/Heads
	Scale    float64 // of the logits; 0 means 1/sqrt(HeadSize)
	Window   int     // keys that a query sees, itself included; 0 means all before it
	SoftCap  float64 // of the logits: cap tanh(logit/cap); 0 means none
	RoPE     *RoPE   // nil means none
	Dropout  float64 // of the probabilities
	PadToken *int    // keys of this token are masked; nil means none are
	Bias     bool
	Layout   Layout     // of names and weights; "" means LayoutGPT2
	Init     graph.Init // of the matrices; nil means graph.Normal(DefaultStd)
	OutInit  graph.Init // of the output projection; nil means Init
}

// CausalSelfAttention is multi-head attention of each token to those before it
// and itself, between two projections.
type CausalSelfAttention struct {
	QKV     *Linear // packed (C,(H+2K)D), in LayoutGPT2
	Q, K, V *Linear // in LayoutLlama
	Out     *Linear
	drop    chance
	o       AttentionOptions
}

// NewCausalSelfAttention creates the projections of channels channels:
// name.c_attn and name.c_proj in GPT-2's layout, name.q_proj, name.k_proj,
// name.v_proj and name.o_proj in LLaMA's.
func NewCausalSelfAttention(ps *graph.Params, name string, channels int, o AttentionOptions) (*CausalSelfAttention, error) {
	if o.KVHeads == 0 {
		o.KVHeads = o.Heads
	}
	if o.HeadSize == 0 && o.Heads > 0 {
		if channels%o.Heads != 0 {
			return nil, errors.Errorf("gptblock: %s: heads = %d, want a divisor of the %d channels, or a head size", name, o.Heads, channels)
		}
		o.HeadSize = channels / o.Heads
	}
	if o.Heads < 1 || o.KVHeads < 1 || o.Heads%o.KVHeads != 0 {
		return nil, errors.Errorf("gptblock: %s: heads = %d and kv heads = %d, want positive numbers, the second dividing the first", name, o.Heads, o.KVHeads)
	}
	if o.OutInit == nil {
		o.OutInit = o.Init
	}
	a := &CausalSelfAttention{o: o}
	var err error
	if a.drop, err = newChance(ps, name+".attn_dropout", o.Dropout); err != nil {
		return nil, err
	}
	in, kv := o.Heads*o.HeadSize, o.KVHeads*o.HeadSize
	opts := LinearOptions{Bias: o.Bias, OutIn: o.Layout.outIn(), Init: o.Init}
	names := o.Layout.attention(name + ".")
	for _, l := range []struct {
		to   **Linear
		name string
		role graph.Role
		out  int
	}{
		{&a.QKV, names.qkv, graph.QKVWeight, in + 2*kv},
		{&a.Q, names.q, graph.QueryWeight, in},
		{&a.K, names.k, graph.KeyWeight, kv},
		{&a.V, names.v, graph.ValueWeight, kv},
	} {
		if l.name == "" {
			continue
		}
		if *l.to, err = NewLinear(ps, l.name, l.role, channels, l.out, opts); err != nil {
			return nil, err
		}
	}
	opts.Init = o.OutInit
	a.Out, err = NewLinear(ps, names.out, graph.AttnOutWeight, in, channels, opts)
	return a, err
}

// Forward maps x (B,T,C) to (B,T,C).
func (a *CausalSelfAttention) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	return a.ForwardTokens(x, nil)
}

// ForwardTokens is Forward for a layer with a PadToken, which needs the ids
// (B,T) to mask the padding.
func (a *CausalSelfAttention) ForwardTokens(x, ids *gorgonia.Node) (*gorgonia.Node, error) {
	o := op.AttentionOptions{
		Heads: a.o.Heads, KVHeads: a.o.KVHeads, HeadSize: a.o.HeadSize,
		Scale: a.o.Scale, Window: a.o.Window, SoftCap: a.o.SoftCap, Dropout: a.o.Dropout,
	}
	if a.o.RoPE != nil {
		o.RoPE = a.o.RoPE.op
	}
	if a.o.PadToken != nil {
		if ids == nil {
			return nil, errors.Errorf("gptblock: %s: a layer with a pad token needs the token ids", a.Out.Weight.Name())
		}
		o.Tokens, o.Pad = ids, *a.o.PadToken
	}
	var f flow
	if o.Dropout > 0 {
		o.Random, f.err = a.drop.random()
	}
	var qkv *gorgonia.Node // (B,T,(H+2K)D)
	if a.QKV != nil {
		qkv = f.through(x, a.QKV)
	} else {
		qkv = f.do(linears(x, a.Q, a.K, a.V))
	}
	if f.err != nil {
		return nil, f.err
	}
	y := f.do(op.Attention(o, qkv)) // (B,T,HD)
	y = f.through(y, a.Out)         // (B,T,C)
	return y, errors.Wrap(f.err, a.Out.Weight.Name())
}
