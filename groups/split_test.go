package groups_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// tiny is a GPT-2 of the given depth, described only.
func tiny(t testing.TB, layers int) *graph.Params {
	t.Helper()
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	add := func(name string, role graph.Role, shape ...int) *graph.Param {
		p, err := ps.New(name, role, shape, nil)
		require.NoError(t, err)
		return p
	}
	wte := add("wte.weight", graph.TokenEmbedding, 11, 4)
	require.NoError(t, ps.Tie("lm_head.weight", wte))
	add("wpe.weight", graph.PositionEmbedding, 8, 4)
	for l := range layers {
		h := "h." + string(rune('0'+l%10)) + strings.Repeat("0", l/10) + "."
		add(h+"ln_1.weight", graph.NormGain, 4)
		add(h+"ln_1.bias", graph.NormBias, 4)
		add(h+"attn.c_attn.weight", graph.QKVWeight, 4, 12)
		add(h+"attn.c_attn.bias", graph.Bias, 12)
	}
	add("temperature", graph.Scalar, 1)
	return ps
}

func names(g *groups.Group) []string {
	out := []string{}
	for _, p := range g.Params {
		out = append(out, p.Name())
	}
	return out
}

func split(t testing.TB, ps *graph.Params, p groups.Policy, overrides ...groups.Rule) *groups.Groups {
	t.Helper()
	gs, err := groups.Split(ps, p, overrides...)
	require.NoError(t, err)
	return gs
}

func TestPolicies(t *testing.T) {
	matrix := []string{"h.0.attn.c_attn.weight"}
	small := []string{"h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.attn.c_attn.bias", "temperature"}
	embeddings := []string{"wte.weight", "wpe.weight"}
	for name, want := range map[string]struct{ decay, noDecay []string }{
		"gpt2":       {append(embeddings, matrix...), small},
		"megatron":   {append(embeddings, matrix...), small},
		"gpt1":       {append(embeddings, matrix...), small},
		"mingpt":     {matrix, append(embeddings, small...)},
		"decay_all":  {append(append(embeddings, small[:2]...), append(matrix, small[2:]...)...), nil},
		"decay_none": {nil, append(append(embeddings, small[:2]...), append(matrix, small[2:]...)...)},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := groups.PolicyNamed(name)
			require.NoError(t, err)
			require.NoError(t, p.Validate())
			require.NotEmpty(t, p.Source)
			gs := split(t, tiny(t, 1), p)
			for group, want := range map[string][]string{groups.Decay: want.decay, groups.NoDecay: want.noDecay} {
				if want == nil {
					require.Nil(t, gs.Named(group))
					continue
				}
				require.Equal(t, want, names(gs.Named(group)))
			}
			if g := gs.Named(groups.NoDecay); g != nil {
				require.Zero(t, *g.WeightDecay)
			}
			for _, q := range gs.Params().All() {
				require.NotEmpty(t, gs.Why(q))
			}
		})
	}
	require.Len(t, groups.Policies(), 6)
	_, err := groups.PolicyNamed("gpt5")
	require.ErrorContains(t, err, "mingpt")
}

func TestOverrides(t *testing.T) {
	ps := tiny(t, 2)
	gs := split(t, ps, groups.GPT2Policy(),
		groups.Rule{Role: graph.TokenEmbedding, Group: groups.NoDecay, Why: "rare rows"},
		groups.Rule{Class: graph.ClassNorm, Group: groups.Decay, Why: "norms too"},
		groups.Rule{Name: "h.1.ln_*", Group: groups.NoDecay, Why: "but not in the last layer"},
	)
	require.Equal(t, []string{"wpe.weight", "h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.attn.c_attn.weight", "h.1.attn.c_attn.weight"},
		names(gs.Named(groups.Decay)))
	require.Equal(t, `override role=token_embedding -> no_decay: rare rows`, gs.Why(ps.Get("wte.weight")))
	require.Equal(t, `override name="h.1.ln_*" -> no_decay: but not in the last layer`, gs.Why(ps.Get("h.1.ln_1.bias")))
	require.Equal(t, "matrices decay", gs.Why(ps.Get("h.0.attn.c_attn.weight")))

	gs = split(t, ps, groups.GPT2Policy(), groups.Rule{Name: "lm_head.*", Group: groups.NoDecay, Why: "an alias"})
	require.Equal(t, groups.NoDecay, gs.Of(ps.Get("wte.weight")).Name)
}

func TestOwnPolicyWithOwnGroups(t *testing.T) {
	p := groups.GPT2Policy()
	p.Name = "slow embeddings"
	p.Groups = append(p.Groups, groups.GroupSpec{Name: "embeddings", Settings: groups.Settings{LRMult: groups.Value(0.1)}})
	p.Rules = append(p.Rules, groups.Rule{Role: graph.TokenEmbedding, Group: "embeddings", Why: "they learn fast"})
	gs := split(t, tiny(t, 1), p)
	require.Equal(t, []string{"wte.weight"}, names(gs.All()[2]))
	require.Equal(t, 0.1, gs.All()[2].Mult())
	require.Equal(t, 1.0, gs.All()[0].Mult())
	require.Equal(t, "slow embeddings", gs.Policy())
	require.Len(t, groups.GPT2Policy().Groups, 2, "the package's policy is unchanged")
}

func TestSplitRefuses(t *testing.T) {
	with := func(rules ...groups.Rule) groups.Policy {
		p := groups.GPT2Policy()
		p.Rules = append(p.Rules, rules...)
		return p
	}
	nan := groups.Value(0)
	*nan /= *nan
	for _, c := range []struct {
		name      string
		policy    groups.Policy
		overrides []groups.Rule
		want      []string
		is        error
	}{
		{"conflict by class", with(groups.Rule{Class: graph.ClassMatrix, Group: groups.NoDecay, Why: "mine"}), nil,
			[]string{"h.0.attn.c_attn.weight", "class=matrix -> decay (matrices decay)", "class=matrix -> no_decay (mine)"}, groups.ErrConflict},
		{"conflict by name", groups.GPT2Policy(), []groups.Rule{
			{Name: "wte.*", Group: groups.NoDecay, Why: "one"}, {Name: "*.weight", Group: groups.Decay, Why: "two"}},
			[]string{"wte.weight", `name="wte.*" -> no_decay (one)`, `name="*.weight" -> decay (two)`}, groups.ErrConflict},
		{"no rule", groups.Policy{Name: "p", Groups: []groups.GroupSpec{{Name: "g"}},
			Rules: []groups.Rule{{Class: graph.ClassEmbedding, Group: "g", Why: "w"}}}, nil,
			[]string{"h.0.ln_1.weight", "norm_gain"}, groups.ErrNoRule},
		{"empty group", with(), []groups.Rule{
			{Class: graph.ClassMatrix, Group: groups.NoDecay, Why: "w"}, {Class: graph.ClassEmbedding, Group: groups.NoDecay, Why: "w"}},
			[]string{"group decay"}, groups.ErrEmptyGroup},
		{"unused override", with(), []groups.Rule{{Name: "wte.wieght", Group: groups.NoDecay, Why: "typo"}},
			[]string{"wte.wieght"}, groups.ErrUnusedOverride},
		{"unknown group", with(), []groups.Rule{{Name: "*", Group: "nodecay", Why: "w"}}, []string{`group = "nodecay"`}, nil},
		{"no group", with(), []groups.Rule{{Name: "*", Why: "w"}}, []string{`group = ""`}, nil},
		{"no reason", with(), []groups.Rule{{Name: "*", Group: groups.Decay}}, []string{"no reason"}, nil},
		{"no key", with(), []groups.Rule{{Group: groups.Decay, Why: "w"}}, []string{"has 0 of name"}, nil},
		{"two keys", with(), []groups.Rule{{Name: "*", Role: graph.Bias, Group: groups.Decay, Why: "w"}}, []string{"has 2 of name"}, nil},
		{"bad glob", with(), []groups.Rule{{Name: "[", Group: groups.Decay, Why: "w"}}, []string{`glob = "["`}, nil},
		{"bad role", with(), []groups.Rule{{Role: 200, Group: groups.Decay, Why: "w"}}, []string{"role = 200"}, nil},
		{"bad class", with(), []groups.Rule{{Class: 200, Group: groups.Decay, Why: "w"}}, []string{"class = 200"}, nil},
		{"policy without name", groups.Policy{}, nil, []string{"without a name"}, nil},
		{"policy without groups", groups.Policy{Name: "p"}, nil, []string{"no groups"}, nil},
		{"repeated group", groups.Policy{Name: "p", Groups: []groups.GroupSpec{{Name: "g"}, {Name: "g"}}}, nil, []string{`"g"`}, nil},
		{"NaN setting", groups.Policy{Name: "p", Groups: []groups.GroupSpec{{Name: "g", Settings: groups.Settings{LRMult: nan}}}}, nil,
			[]string{"group g", "lr_mult = NaN"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := groups.Split(tiny(t, 1), c.policy, c.overrides...)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
	empty, err := graph.NewParams(nil)
	require.NoError(t, err)
	_, err = groups.Split(empty, groups.DecayAllPolicy())
	require.ErrorIs(t, err, groups.ErrEmptyGroup)
}

func TestNilParamsAreRefused(t *testing.T) {
	_, err := groups.Split(nil, groups.GPT2Policy())
	require.ErrorContains(t, err, "params = nil")
	_, err = groups.New(nil, nil)
	require.ErrorContains(t, err, "params = nil")
}

func TestSettingsValidate(t *testing.T) {
	v := groups.Value
	require.NoError(t, groups.Settings{}.Validate())
	require.NoError(t, groups.Settings{LRMult: v(0), WeightDecay: v(0), Beta1: v(0), Beta2: v(0), Eps: v(0)}.Validate())
	for want, s := range map[string]groups.Settings{
		"lr_mult = -1":      {LRMult: v(-1)},
		"weight_decay = -1": {WeightDecay: v(-1)},
		"beta1 = 1":         {Beta1: v(1)},
		"beta2 = 1":         {Beta2: v(1)},
		"eps = -1":          {Eps: v(-1)},
	} {
		require.ErrorContains(t, s.Validate(), want)
	}
}

func TestMayBeEmpty(t *testing.T) {
	p := groups.GPT2Policy()
	p.Groups[0].MayBeEmpty = true
	gs := split(t, tiny(t, 1), p,
		groups.Rule{Class: graph.ClassMatrix, Group: groups.NoDecay, Why: "w"}, groups.Rule{Class: graph.ClassEmbedding, Group: groups.NoDecay, Why: "w"})
	require.Empty(t, gs.Named(groups.Decay).Params)
}

func TestFrozenParametersAreInNoGroup(t *testing.T) {
	ps := tiny(t, 1)
	require.NoError(t, ps.Freeze("wpe.weight"))
	gs := split(t, ps, groups.GPT2Policy())
	require.Equal(t, []*graph.Param{ps.Get("wpe.weight")}, gs.Frozen())
	require.Nil(t, gs.Of(ps.Get("wpe.weight")))
}

func TestNewByHand(t *testing.T) {
	ps := tiny(t, 1)
	all := ps.All()
	gs, err := groups.New(ps, []groups.Group{
		{Name: "a", Params: all[:2], Why: "the first two"}, {Name: "b", Params: all[2:], Settings: groups.Settings{WeightDecay: groups.Value(0)}}})
	require.NoError(t, err)
	require.Equal(t, []string{"wte.weight", "wpe.weight"}, names(gs.Named("a")))
	require.Equal(t, "the first two", gs.Why(all[0]))
	require.Equal(t, "assigned by hand", gs.Why(all[2]))

	other := tiny(t, 1)
	for _, c := range []struct {
		name string
		list []groups.Group
		want string
		is   error
	}{
		{"none", []groups.Group{{Name: "a", Params: all[2:]}}, "wte.weight, wpe.weight", groups.ErrNotInOneGroup},
		{"two", []groups.Group{{Name: "a", Params: all}, {Name: "b", Params: all[1:2]}}, "wpe.weight is in groups a and b", groups.ErrNotInOneGroup},
		{"twice", []groups.Group{{Name: "a", Params: append(all[:1:1], all...)}}, "wte.weight is in groups a and a", groups.ErrNotInOneGroup},
		{"foreign", []groups.Group{{Name: "a", Params: other.All()}}, "not of these Params", nil},
		{"nil", []groups.Group{{Name: "a", Params: []*graph.Param{nil}}}, "nil parameter", nil},
		{"empty", []groups.Group{{Name: "a", Params: all}, {Name: "b"}}, "group b", groups.ErrEmptyGroup},
		{"no name", []groups.Group{{Params: all}}, `name = ""`, nil},
		{"same name", []groups.Group{{Name: "a", Params: all[:1]}, {Name: "a", Params: all[1:]}}, `name = "a"`, nil},
		{"setting", []groups.Group{{Name: "a", Params: all, Settings: groups.Settings{Beta1: groups.Value(1)}}}, "beta1 = 1", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := groups.New(ps, c.list)
			require.ErrorContains(t, err, c.want)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
	require.NoError(t, ps.Freeze("wte.weight"))
	_, err = groups.New(ps, []groups.Group{{Name: "a", Params: all}})
	require.ErrorContains(t, err, "wte.weight is frozen")
}

func TestByNameAndShape(t *testing.T) {
	g := gorgonia.NewGraph()
	var nodes gorgonia.Nodes
	want := map[bool][]string{}
	for _, c := range []struct {
		name  string
		shape tensor.Shape
		decay bool
	}{
		{"h.0.attn.c_attn.weight", tensor.Shape{4, 12}, true},
		{"h.0.attn.c_attn.bias", tensor.Shape{12}, false},
		{"z.bias", tensor.Shape{1, 12}, false}, // a bias of rank 2
		{"attn.bias_table", tensor.Shape{3, 3}, false},
		{"ln_f.weight", tensor.Shape{1, 4}, false},
		{"encoder.LayerNorm.weight", tensor.Shape{2, 4}, false},
		{"layer_norm.gain", tensor.Shape{2, 4}, false},
		{"RMSNorm.scale", tensor.Shape{2, 4}, false},
		{"h.1.q_norm.weight", tensor.Shape{2, 4}, false},
		{"blocks.norm1.weight", tensor.Shape{2, 4}, false},
		{"wte.weight", tensor.Shape{7, 4}, true},
		{"normalizer.proj", tensor.Shape{4, 4}, true}, // no norm layer
		{"allnodes.w", tensor.Shape{4, 4}, true},      // "ln" within a word
		{"gain", tensor.Shape{4}, false},
		{"temperature", tensor.Shape{}, false},
		{"experts.up", tensor.Shape{2, 4, 4}, true},
	} {
		n := gorgonia.NewTensor(g, tensor.Float32, len(c.shape), gorgonia.WithShape(c.shape...), gorgonia.WithName(c.name))
		nodes = append(nodes, n)
		want[c.decay] = append(want[c.decay], c.name)
	}
	gs, err := groups.ByNameAndShape(nodes)
	require.NoError(t, err)
	require.Equal(t, want[true], names(gs.Named(groups.Decay)))
	require.Equal(t, want[false], names(gs.Named(groups.NoDecay)))
	require.Equal(t, len(nodes), gs.Params().Len())
	for i, p := range gs.Params().All() {
		require.Same(t, nodes[i], p.Node(), "input order")
	}

	_, err = groups.ByNameAndShape(nil)
	require.ErrorContains(t, err, "no nodes")
	_, err = groups.ByNameAndShape(gorgonia.Nodes{nodes[0], nil})
	require.ErrorContains(t, err, "nil")
	_, err = groups.ByNameAndShape(gorgonia.Nodes{nodes[0], nodes[0]})
	require.ErrorIs(t, err, graph.ErrDuplicate)
	_, err = groups.ByNameAndShape(nodes[1:2])
	require.ErrorIs(t, err, groups.ErrEmptyGroup)
}
