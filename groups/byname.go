package groups

import (
	"regexp"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
)

// normName recognises what norm layers are called: layernorm, layer_norm,
// rmsnorm, ln_1, ln_f, lnf, norm, norm1, q_norm, input_norm.
var normName = regexp.MustCompile(`layer_?norm|rms_?norm|(^|[._/])ln(_?f)?([._/0-9]|$)|(^|[._/])norm([._/0-9]|$)|_norm([._/0-9]|$)`)

// ByNameAndShape groups the leaves of a graph that was not made with roles, by
// the recipe that is common among PyTorch users. A node does not decay if
// its name contains "bias", or is that of a norm layer, or if its rank is 1 or
// 0; all others decay. Names are compared in lower case. Groups keep the order
// of nodes.
//
// The recipe guesses: it decays a bias of shape (1,n) called "b1". Where you
// make the parameters yourself, [graph.Params.Adopt] with a role and [Split]
// are safer. The nodes are adopted into a new registry, Groups.Params, under
// roles that are guessed in the same way. All must be named uniquely and
// belong to one graph. The no_decay group may be empty.
func ByNameAndShape(nodes gorgonia.Nodes) (*Groups, error) {
	if len(nodes) == 0 || nodes[0] == nil {
		return nil, errors.New("groups: ByNameAndShape of no nodes")
	}
	params, err := graph.NewParams(nodes[0].Graph())
	if err != nil {
		return nil, err
	}
	decay := &Group{Name: Decay}
	noDecay := &Group{Name: NoDecay, Settings: Settings{WeightDecay: Value(0)}, MayBeEmpty: true}
	gs := newGroups("by name and shape", `the common PyTorch recipe: "bias" in the name, a norm layer's name, or rank 1`, params)
	gs.list = []*Group{decay, noDecay}
	for _, n := range nodes {
		if n == nil {
			return nil, errors.New("groups: ByNameAndShape: a node is nil")
		}
		role, why := guess(strings.ToLower(n.Name()), n.Dims())
		g := noDecay
		if role == graph.Weight {
			g = decay
		}
		p, err := params.Adopt(n, role)
		if err != nil {
			return nil, err
		}
		g.Params = append(g.Params, p)
		gs.of[p] = assignment{g, why}
	}
	if err := gs.checkEmpty(); err != nil {
		return nil, err
	}
	return gs, nil
}

func guess(name string, rank int) (role graph.Role, why string) {
	isNorm := normName.MatchString(name)
	switch {
	case strings.Contains(name, "bias") && isNorm:
		return graph.NormBias, `"bias" in the name`
	case strings.Contains(name, "bias"):
		return graph.Bias, `"bias" in the name`
	case isNorm:
		return graph.NormGain, "the name is that of a norm layer"
	case rank == 1:
		return graph.Bias, "rank 1"
	case rank == 0:
		return graph.Scalar, "rank 0"
	}
	return graph.Weight, "rank >= 2, and the name is neither a bias' nor a norm's"
}
