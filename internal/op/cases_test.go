package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

func mixtureArgs(x, gates arg, experts, hidden int) []arg {
	in, c := []arg{x, gates}, x.shape[len(x.shape)-1]
	for range experts {
		in = append(in, floatsOf(hidden, c), floatsOf(hidden, c), floatsOf(c, hidden))
	}
	return in
}

// mixtureCase has every gate open: each expert sees each token.
func mixtureCase(name string, in []arg, o MixtureOptions) opCase {
	return opCase{"Mixture/" + name, in, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
		return Mixture(x[0], x[1], expertsOf(x[2:]), o)
	}}
}

// routedCase is a whole layer: router, routing, experts. The second input is
// the router's matrix.
func routedCase(name string, in []arg, r RouteOptions, o MixtureOptions) opCase {
	return opCase{"Route and Mixture/" + name, in, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
		logits, err := Linear(x[0], x[1], nil, LinearOptions{OutIn: true})
		if err != nil {
			return nil, err
		}
		gates, err := Route(logits, r)
		if err != nil {
			return nil, err
		}
		return Mixture(x[0], gates, expertsOf(x[2:]), o)
	}}
}

func expertsOf(x gorgonia.Nodes) (experts []Expert) {
	for ; len(x) > 0; x = x[3:] {
		experts = append(experts, Expert{Gate: x[0], Up: x[1], Down: x[2]})
	}
	return experts
}

func routeCase(k, experts int, renormalize bool) opCase {
	name := fmt.Sprintf("Route/%d of %d, renormalized %v", k, experts, renormalize)
	return opCase{name, []arg{floatsOf(2, 3, experts)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
		return Route(x[0], RouteOptions{TopK: k, Renormalize: renormalize})
	}}
}

// The sizes are odd on purpose: ones, primes, and sizes beyond a vector.

func linearCase(name string, in []arg, o LinearOptions) opCase {
	return opCase{"Linear/" + name, in, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
		if len(x) == 2 {
			return Linear(x[0], x[1], nil, o)
		}
		return Linear(x[0], x[1], x[2], o)
	}}
}

func attentionCase(name string, in []arg, o AttentionOptions) opCase {
	return opCase{"Attention/" + name, in, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
		o, n := o, 1
		if len(in) >= 3 && in[1].isFloat() {
			n = 3
		}
		for i := n; i < len(in); i++ {
			if in[i].clock {
				o.Random = Random{Clock: x[i], Seed: 5, Stream: 7}
			} else {
				o.Tokens = x[i]
			}
		}
		return Attention(o, x[:n]...)
	}}
}

func rope(theta float64, interleaved bool) *RoPE {
	r, err := NewRoPE(theta, interleaved)
	if err != nil {
		panic(err)
	}
	return r
}

func headCase(name string, in []arg, o HeadOptions) opCase {
	return opCase{"LinearCrossEntropy/" + name, in, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
		return LinearCrossEntropy(x[0], x[1], x[2], o)
	}}
}

func opCases() []opCase {
	ignore := LossOptions{Ignore: -100}
	random := func(x gorgonia.Nodes) Random { return Random{Clock: x[1], Seed: 11, Stream: 13} }
	cases := []opCase{
		linearCase("InOut", []arg{floatsOf(2, 3, 5), floatsOf(5, 7), floatsOf(7)}, LinearOptions{}),
		linearCase("OutIn", []arg{floatsOf(2, 3, 5), floatsOf(7, 5), floatsOf(7)}, LinearOptions{OutIn: true}),
		linearCase("no bias", []arg{floatsOf(3, 4), floatsOf(4, 2)}, LinearOptions{}),
		{"Linears/InOut", []arg{floatsOf(2, 3, 5), floatsOf(5, 7), floatsOf(5, 1), floatsOf(7), floatsOf(1)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return Linears(x[0], x[1:3], x[3:5], LinearOptions{})
		}},
		{"Linears/OutIn", []arg{floatsOf(3, 5), floatsOf(2, 5), floatsOf(3, 5), floatsOf(7, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return Linears(x[0], x[1:4], nil, LinearOptions{OutIn: true})
		}},
		linearCase("ones", []arg{floatsOf(1, 1), floatsOf(1, 1), floatsOf(1)}, LinearOptions{}),
		linearCase("no input gradient", []arg{constantOf(3, 5), floatsOf(2, 5)}, LinearOptions{OutIn: true, NoInputGrad: true}),

		{"LayerNorm/bias", []arg{floatsOf(2, 3, 17), floatsOf(17), floatsOf(17)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return LayerNorm(x[0], x[1], x[2], 1e-5)
		}},
		{"LayerNorm/no bias", []arg{floatsOf(5, 3), floatsOf(3)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return LayerNorm(x[0], x[1], nil, 1e-5)
		}},
		{"RMSNorm", []arg{floatsOf(2, 3, 17), floatsOf(17)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return RMSNorm(x[0], x[1], 1e-6)
		}},

		{"GELUTanh", []arg{floatsOf(3, 11)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return GELUTanh(x[0]) }},
		{"GELUErf", []arg{floatsOf(3, 11)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return GELUErf(x[0]) }},
		{"SiLU", []arg{floatsOf(3, 11)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return SiLU(x[0]) }},
		{"SwiGLU", []arg{floatsOf(3, 22)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return SwiGLU(x[0]) }},
		{"GeGLU", []arg{floatsOf(1, 3, 34)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return GeGLU(x[0]) }},

		{"Add", []arg{floatsOf(2, 3, 5), floatsOf(2, 3, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return Add(x[0], x[1]) }},
		{"Add/twice the same", []arg{floatsOf(3, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return Add(x[0], x[0]) }},
		{"Residual/LayerNorm", []arg{floatsOf(3, 5), floatsOf(5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			n, err := LayerNorm(x[0], x[1], nil, 1e-5)
			if err != nil {
				return nil, err
			}
			return Residual(x[0], gorgonia.Must(GELUTanh(n)), n)
		}},
		{"Residual/RMSNorm", []arg{floatsOf(3, 5), floatsOf(5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			n, err := RMSNorm(x[0], x[1], 1e-5)
			if err != nil {
				return nil, err
			}
			return Residual(x[0], gorgonia.Must(GELUTanh(n)), n)
		}},
		{"Residual/norm not in the branch", []arg{floatsOf(3, 5), floatsOf(5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			n, err := RMSNorm(x[0], x[1], 1e-5)
			if err != nil {
				return nil, err
			}
			y, err := Residual(x[0], gorgonia.Must(GELUTanh(x[0])), n)
			if err != nil {
				return nil, err
			}
			return Add(y, n)
		}},
		{"Residual/two of one norm", []arg{floatsOf(3, 5), floatsOf(5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			n, err := RMSNorm(x[0], x[1], 1e-5)
			if err != nil {
				return nil, err
			}
			a, err := Residual(x[0], gorgonia.Must(GELUTanh(n)), n)
			if err != nil {
				return nil, err
			}
			b, err := Residual(x[0], gorgonia.Must(SiLU(n)), n)
			if err != nil {
				return nil, err
			}
			return Add(gorgonia.Must(GELUTanh(a)), b)
		}},
		{"Scale", []arg{floatsOf(3, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return Scale(x[0], -1.7) }},

		{"Embedding/positions", []arg{idsOf(7, 2, 5), floatsOf(7, 3), positionsOf(6, 3)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return Embedding(x[0], x[1], x[2], 1)
		}},
		{"Embedding/scale", []arg{idsOf(4, 3, 3), floatsOf(4, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return Embedding(x[0], x[1], nil, 3.5)
		}},

		{"AddPositions", []arg{floatsOf(2, 3, 5), positionsOf(4, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return AddPositions(x[0], x[1])
		}},
		{"SoftCap", []arg{floatsOf(3, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return SoftCap(x[0], 1.5) }},

		{"Dropout", []arg{floatsOf(5, 31), clockArg()}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return Dropout(x[0], .3, random(x)) }},
		{"DropPath", []arg{floatsOf(9, 2, 3), clockArg()}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return DropPath(x[0], .4, random(x)) }},

		attentionCase("packed", []arg{floatsOf(2, 5, 18)}, AttentionOptions{Heads: 2, HeadSize: 3}),
		attentionCase("separate", []arg{floatsOf(2, 5, 6), floatsOf(2, 5, 6), floatsOf(2, 5, 6)}, AttentionOptions{Heads: 2, HeadSize: 3}),
		attentionCase("grouped-query packed", []arg{floatsOf(1, 4, 24)}, AttentionOptions{Heads: 4, KVHeads: 2, HeadSize: 3}),
		attentionCase("multi-query", []arg{floatsOf(2, 3, 12), floatsOf(2, 3, 4), floatsOf(2, 3, 4)}, AttentionOptions{Heads: 3, KVHeads: 1, HeadSize: 4}),
		attentionCase("one token", []arg{floatsOf(3, 1, 3)}, AttentionOptions{Heads: 1, HeadSize: 1}),
		attentionCase("window, scale and soft-cap", []arg{floatsOf(1, 11, 9)}, AttentionOptions{Heads: 1, HeadSize: 3, Window: 3, Scale: .9, SoftCap: 2}),
		attentionCase("RoPE", []arg{floatsOf(2, 5, 24)}, AttentionOptions{Heads: 2, HeadSize: 4, RoPE: rope(100, false)}),
		attentionCase("RoPE interleaved, grouped-query", []arg{floatsOf(2, 5, 8), floatsOf(2, 5, 4), floatsOf(2, 5, 4)},
			AttentionOptions{Heads: 2, KVHeads: 1, HeadSize: 4, RoPE: rope(100, true)}),
		attentionCase("dropout", []arg{floatsOf(2, 7, 18), clockArg()}, AttentionOptions{Heads: 2, HeadSize: 3, Dropout: .3}),
		attentionCase("padding", []arg{floatsOf(2, 7, 18), idsOf(3, 2, 7)}, AttentionOptions{Heads: 2, HeadSize: 3, Pad: 1}),

		{"CrossEntropy", []arg{floatsOf(2, 3, 7), idsOf(7, 2, 3)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return CrossEntropy(x[0], x[1], ignore)
		}},
		{"CrossEntropy/z-loss and ignored", []arg{floatsOf(5, 3), idsOf(4, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return CrossEntropy(x[0], x[1], LossOptions{Ignore: 3, ZLoss: .1})
		}},
		headCase("plain", []arg{floatsOf(2, 3, 5), floatsOf(7, 5), idsOf(7, 2, 3)}, HeadOptions{LossOptions: ignore}),
		{"LinearCrossEntropy/tied", []arg{idsOf(7, 2, 3), floatsOf(7, 5), positionsOf(3, 5), idsOf(7, 2, 3)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			e, err := Embedding(x[0], x[1], x[2], 1)
			if err != nil {
				return nil, err
			}
			l, err := LinearCrossEntropy(gorgonia.Must(GELUTanh(e)), x[1], x[3], HeadOptions{LossOptions: ignore, Embedding: e})
			if err != nil {
				return nil, err
			}
			return Scale(l, 3)
		}},
		headCase("all options", []arg{floatsOf(5, 3), floatsOf(4, 3), idsOf(5, 5)},
			HeadOptions{LossOptions: LossOptions{Ignore: 4, ZLoss: .1}, LogitScale: .7, LogitSoftCap: 1.5}),

		mixtureCase("SwiGLU", mixtureArgs(floatsOf(2, 3, 5), floatsOf(2, 3, 2), 2, 7), MixtureOptions{}),
		mixtureCase("GeGLU", mixtureArgs(floatsOf(3, 5), floatsOf(3, 3), 3, 2), MixtureOptions{GeGLU: true}),
		mixtureCase("ones", mixtureArgs(floatsOf(1, 1), floatsOf(1, 1), 1, 1), MixtureOptions{}),
		routedCase("Mixtral", mixtureArgs(floatsOf(2, 5, 7), floatsOf(3, 7), 3, 5), RouteOptions{TopK: 2, Renormalize: true}, MixtureOptions{}),
		routedCase("Grok-1", mixtureArgs(floatsOf(2, 5, 7), floatsOf(3, 7), 3, 5), RouteOptions{TopK: 2}, MixtureOptions{GeGLU: true}),
		routedCase("experts without tokens", mixtureArgs(floatsOf(1, 3), floatsOf(3, 3), 3, 2), RouteOptions{TopK: 1}, MixtureOptions{}),

		{"BalanceLoss/one layer", []arg{floatsOf(2, 3, 5)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) { return BalanceLoss(2, x...) }},
		{"BalanceLoss/layers", []arg{floatsOf(7, 3), floatsOf(7, 3), floatsOf(7, 3)}, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
			return BalanceLoss(1, x...)
		}},
	}
	const experts = 4
	for k := 1; k <= experts; k++ {
		cases = append(cases, routeCase(k, experts, true), routeCase(k, experts, false))
	}
	return append(cases, routeCase(1, 1, true), routeCase(1, 1, false))
}
