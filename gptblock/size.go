package gptblock

import (
	"fmt"

	"github.com/gorget/gorget/graph"
)

// NumParams is the number of parameters, a tied one counted once. It returns 0
// for a config that is not valid.
func (c Config) NumParams() int {
	n, _ := c.count()
	return n
}

// NumActiveParams is the number of parameters that a token meets: all but the
// experts that are not chosen for it. It returns 0 for a config that is not
// valid.
func (c Config) NumActiveParams() int {
	_, active := c.count()
	return active
}

func (c Config) count() (all, active int) {
	for _, p := range c.describe() {
		n := p.Size()
		all += n
		switch p.Role() {
		case graph.ExpertUp, graph.ExpertGate, graph.ExpertDown:
			// All experts have the same size, so this divides in the sum.
			active += n * c.TopK
		default:
			active += n * max(c.Experts, 1)
		}
	}
	return all, active / max(c.Experts, 1)
}

// describe lists the parameters of c without memory for them, none if c is not
// valid.
func (c Config) describe() []*graph.Param {
	ps, err := graph.NewParams(nil)
	if err != nil {
		return nil
	}
	if _, err := New(ps, c); err != nil {
		return nil
	}
	return ps.All()
}

// FLOPsPerToken is the number of floating-point operations of training on one
// token of a sequence of t, by the accounting of PaLM (Chowdhery et al. 2022,
// arXiv:2204.02311, appendix B):
//
//	6 N + 12 L H D S
//
// N is the number of active parameters of matrices and norms, so without the
// tables that are only looked up, S the number of keys that a query may see:
// t, or the window. (PaLM takes N as all parameters; it has no other tables.)
// Two FLOPs are a multiplication and an addition, forward is one third.
func (c Config) FLOPsPerToken(t int) float64 {
	d := c.withDefaults()
	n := c.NumActiveParams()
	if n == 0 {
		return 0
	}
	if c.Position == PositionLearned {
		n -= c.Context * c.Channels
	}
	if !c.Tied {
		n -= c.Vocab * c.Channels
	}
	flops := 6 * float64(n)
	for l := range c.Layers {
		s := t
		if w := c.window(l); w > 0 {
			s = min(t, w)
		}
		flops += 12 * float64(d.Heads*d.HeadSize) * float64(s)
	}
	return flops
}

// Describe is a summary of c in a line, such as
// "12 layers, 768 channels, 12 heads, context 1024, vocabulary 50257: 124.4M parameters".
func (c Config) Describe() string {
	d := c.withDefaults()
	heads := fmt.Sprintf("%d heads", d.Heads)
	if d.KVHeads != d.Heads {
		heads += fmt.Sprintf(" (%d kv)", d.KVHeads)
	}
	s := fmt.Sprintf("%d layers, %d channels, %s, context %d, vocabulary %d: ", c.Layers, c.Channels, heads, c.Context, c.Vocab)
	s += humanCount(c.NumParams()) + " parameters"
	if c.Experts > 0 {
		s += fmt.Sprintf(", %s active in %d of %d experts", humanCount(c.NumActiveParams()), c.TopK, c.Experts)
	}
	return s
}

// humanCount is n with four digits and a unit: 124.4M.
func humanCount(n int) string {
	for _, u := range []struct {
		size   float64
		suffix string
	}{{1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.4g%s", float64(n)/u.size, u.suffix)
		}
	}
	return fmt.Sprint(n)
}
