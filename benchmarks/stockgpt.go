package main

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
)

// stockGPT builds a GPT-2 from the ops that Gorgonia itself has: what a user
// would write without gptblock. It has the same parameters under the same
// names, and the same loss.
type stockGPT struct {
	gptCase
	ps  *graph.Params
	err error // the first
}

// loss is the mean cross-entropy over tokens, targets and positions, (BT) each.
func (m *stockGPT) loss(tokens, targets, positions *gorgonia.Node) (*gorgonia.Node, error) {
	wte := m.param("transformer.wte.weight", graph.TokenEmbedding, m.V, m.C)
	wpe := m.param("transformer.wpe.weight", graph.PositionEmbedding, m.Context, m.C)
	x := m.do(gorgonia.Add(m.do(gorgonia.ByIndices(wte, tokens, 0)), m.do(gorgonia.ByIndices(wpe, positions, 0)))) // (BT,C)
	for l := range m.L {
		name := fmt.Sprintf("transformer.h.%d.", l)
		x = m.do(gorgonia.Add(x, m.attention(name+"attn.", m.layerNorm(name+"ln_1", x))))
		x = m.do(gorgonia.Add(x, m.mlp(name+"mlp.", m.layerNorm(name+"ln_2", x))))
	}
	x = m.layerNorm("transformer.ln_f", x)
	logits := m.do(gorgonia.Mul(x, m.do(gorgonia.Transpose(wte))))                    // (BT,V)
	picked := m.do(gorgonia.HadamardProd(m.do(gorgonia.LogSoftMax(logits)), targets)) // targets are one-hot
	sum := m.do(gorgonia.Sum(picked))
	return m.do(gorgonia.HadamardProd(sum, m.constant(-1/float64(m.B*m.T)))), m.err
}

func (m *stockGPT) attention(name string, x *gorgonia.Node) *gorgonia.Node {
	B, T, H, D := m.B, m.T, m.H, m.C/m.H
	qkv := m.linear(name+"c_attn", graph.QKVWeight, x, m.C, 3*m.C) // (BT,3C)
	heads := func(i int) *gorgonia.Node {
		part := m.do(gorgonia.Slice(qkv, nil, gorgonia.S(i*m.C, (i+1)*m.C)))                                // (BT,C)
		part = m.do(gorgonia.Transpose(m.do(gorgonia.Reshape(part, tensor.Shape{B, T, H, D})), 0, 2, 1, 3)) // (B,H,T,D)
		return m.do(gorgonia.Reshape(part, tensor.Shape{B * H, T, D}))
	}
	q, k, v := heads(0), heads(1), heads(2)
	scores := m.do(gorgonia.BatchedMatMul(q, k, false, true)) // (BH,T,T)
	scores = m.do(gorgonia.HadamardProd(scores, m.constant(1/math.Sqrt(float64(D)))))
	scores = m.do(gorgonia.Add(scores, m.causalMask()))
	probs := m.do(gorgonia.SoftMax(scores, 2))
	y := m.do(gorgonia.BatchedMatMul(probs, v)) // (BH,T,D)
	y = m.do(gorgonia.Transpose(m.do(gorgonia.Reshape(y, tensor.Shape{B, H, T, D})), 0, 2, 1, 3))
	y = m.do(gorgonia.Reshape(y, tensor.Shape{B * T, m.C}))
	return m.linear(name+"c_proj", graph.AttnOutWeight, y, m.C, m.C)
}

// causalMask is 0 where a query sees a key, and so negative elsewhere that its
// exponential is 0: (BH,T,T).
func (m *stockGPT) causalMask() *gorgonia.Node {
	if n := m.ps.Graph().ByName("mask"); len(n) > 0 {
		return n[0]
	}
	mask := make([]float32, m.B*m.H*m.T*m.T)
	for i := range mask {
		if query, key := i/m.T%m.T, i%m.T; key > query {
			mask[i] = -1e9
		}
	}
	shape := tensor.Shape{m.B * m.H, m.T, m.T}
	n := gorgonia.NewTensor(m.ps.Graph(), tensor.Float32, 3, gorgonia.WithName("mask"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(mask))))
	m.check(m.ps.Input(n))
	return n
}

func (m *stockGPT) mlp(name string, x *gorgonia.Node) *gorgonia.Node {
	h := m.gelu(m.linear(name+"c_fc", graph.UpWeight, x, m.C, 4*m.C)) // (BT,4C)
	return m.linear(name+"c_proj", graph.DownWeight, h, 4*m.C, m.C)
}

// gelu is the tanh form: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.
func (m *stockGPT) gelu(x *gorgonia.Node) *gorgonia.Node {
	cube := m.do(gorgonia.HadamardProd(m.do(gorgonia.Cube(x)), m.constant(0.044715)))
	inner := m.do(gorgonia.HadamardProd(m.do(gorgonia.Add(x, cube)), m.constant(math.Sqrt(2/math.Pi))))
	one := m.do(gorgonia.Add(m.do(gorgonia.Tanh(inner)), m.constant(1)))
	return m.do(gorgonia.HadamardProd(m.do(gorgonia.HadamardProd(x, one)), m.constant(0.5)))
}

func (m *stockGPT) layerNorm(name string, x *gorgonia.Node) *gorgonia.Node {
	rows := m.B * m.T
	gain := m.param(name+".weight", graph.NormGain, m.C)
	bias := m.param(name+".bias", graph.NormBias, m.C)
	column := func(n *gorgonia.Node) *gorgonia.Node { return m.do(gorgonia.Reshape(n, tensor.Shape{rows, 1})) }
	centred := m.do(gorgonia.BroadcastSub(x, column(m.do(gorgonia.Mean(x, 1))), nil, []byte{1}))
	variance := m.do(gorgonia.Mean(m.do(gorgonia.Square(centred)), 1)) // (BT)
	std := m.do(gorgonia.Sqrt(m.do(gorgonia.Add(variance, m.constant(normEps)))))
	y := m.do(gorgonia.BroadcastHadamardDiv(centred, column(std), nil, []byte{1}))
	y = m.do(gorgonia.BroadcastHadamardProd(y, m.asRow(gain), nil, []byte{0}))
	return m.do(gorgonia.BroadcastAdd(y, m.asRow(bias), nil, []byte{0}))
}

func (m *stockGPT) linear(name string, role graph.Role, x *gorgonia.Node, in, out int) *gorgonia.Node {
	w := m.param(name+".weight", role, in, out)
	b := m.param(name+".bias", graph.Bias, out)
	return m.do(gorgonia.BroadcastAdd(m.do(gorgonia.Mul(x, w)), m.asRow(b), nil, []byte{0}))
}

// asRow makes a vector (n) a matrix (1,n).
func (m *stockGPT) asRow(n *gorgonia.Node) *gorgonia.Node {
	if m.err != nil {
		return nil
	}
	return m.do(gorgonia.Reshape(n, tensor.Shape{1, n.Shape()[0]}))
}

func (m *stockGPT) constant(x float64) *gorgonia.Node { return gorgonia.NewConstant(float32(x)) }

// param is the node of a parameter of m.ps.
func (m *stockGPT) param(name string, role graph.Role, shape ...int) *gorgonia.Node {
	if m.err != nil {
		return nil
	}
	p, err := m.ps.New(name, role, shape, nil)
	m.check(err)
	if err != nil {
		return nil
	}
	return p.Node()
}

// do keeps the first error.
func (m *stockGPT) do(n *gorgonia.Node, err error) *gorgonia.Node {
	m.check(err)
	return n
}

func (m *stockGPT) check(err error) {
	if m.err == nil {
		m.err = err
	}
}
