package graph

import "github.com/pkg/errors"

// Role says what a parameter is. It is a fact, stated where the parameter is
// created; whether a role decays is a policy (package groups). The zero value,
// RoleUnset, is refused everywhere.
type Role uint8

// The roles. Matrices take part in a product with activations; a gain
// multiplies elementwise, a bias is added.
const (
	RoleUnset Role = iota

	Weight        // matrix of a linear layer that has no finer role
	QKVWeight     // packed query, key and value projection (c_attn)
	QueryWeight   // query projection (q_proj)
	KeyWeight     // key projection (k_proj)
	ValueWeight   // value projection (v_proj)
	AttnOutWeight // output projection of attention (c_proj, o_proj)
	UpWeight      // first matrix of an MLP (c_fc, up_proj)
	GateWeight    // gate of a gated MLP (gate_proj)
	DownWeight    // last matrix of an MLP (c_proj, down_proj)
	RouterWeight  // router of a mixture of experts
	ExpertUp      // first matrix of an expert
	ExpertGate    // gate of an expert
	ExpertDown    // last matrix of an expert
	LMHead        // untied output projection to the vocabulary

	TokenEmbedding    // one row a token; with a tied head also the output projection
	PositionEmbedding // one row a position

	Bias          // bias of a linear layer
	NormGain      // gain of LayerNorm or RMSNorm
	NormBias      // bias of LayerNorm
	QueryNormGain // gain of a norm over the queries of a head
	KeyNormGain   // gain of a norm over the keys of a head
	Scalar        // a single learned number, such as a temperature

	numRoles
)

// Class is the coarse kind of a role, the level at which most policies decide.
type Class uint8

// The classes.
const (
	ClassUnset Class = iota
	ClassMatrix
	ClassEmbedding
	ClassBias
	ClassNorm
	ClassScalar
)

var roleFacts = [numRoles]struct {
	name  string
	class Class
}{
	RoleUnset:         {"unset", ClassUnset},
	Weight:            {"weight", ClassMatrix},
	QKVWeight:         {"qkv_weight", ClassMatrix},
	QueryWeight:       {"query_weight", ClassMatrix},
	KeyWeight:         {"key_weight", ClassMatrix},
	ValueWeight:       {"value_weight", ClassMatrix},
	AttnOutWeight:     {"attn_out_weight", ClassMatrix},
	UpWeight:          {"up_weight", ClassMatrix},
	GateWeight:        {"gate_weight", ClassMatrix},
	DownWeight:        {"down_weight", ClassMatrix},
	RouterWeight:      {"router_weight", ClassMatrix},
	ExpertUp:          {"expert_up", ClassMatrix},
	ExpertGate:        {"expert_gate", ClassMatrix},
	ExpertDown:        {"expert_down", ClassMatrix},
	LMHead:            {"lm_head", ClassMatrix},
	TokenEmbedding:    {"token_embedding", ClassEmbedding},
	PositionEmbedding: {"position_embedding", ClassEmbedding},
	Bias:              {"bias", ClassBias},
	NormGain:          {"norm_gain", ClassNorm},
	NormBias:          {"norm_bias", ClassNorm},
	QueryNormGain:     {"query_norm_gain", ClassNorm},
	KeyNormGain:       {"key_norm_gain", ClassNorm},
	Scalar:            {"scalar", ClassScalar},
}

var classNames = [...]string{"unset", "matrix", "embedding", "bias", "norm", "scalar"}

// String is the role's name in reports and files, such as "norm_gain".
func (r Role) String() string {
	if r >= numRoles {
		return "invalid"
	}
	return roleFacts[r].name
}

// Class is the coarse kind of r, ClassUnset for a role that is not one.
func (r Role) Class() Class {
	if r >= numRoles {
		return ClassUnset
	}
	return roleFacts[r].class
}

// Valid reports whether r is a role that a parameter can have.
func (r Role) Valid() bool { return r > RoleUnset && r < numRoles }

// String is the class's name in reports, such as "matrix".
func (c Class) String() string {
	if int(c) >= len(classNames) {
		return "invalid"
	}
	return classNames[c]
}

// Roles lists every role, in the order of the constants.
func Roles() []Role {
	rs := make([]Role, 0, numRoles-1)
	for r := RoleUnset + 1; r < numRoles; r++ {
		rs = append(rs, r)
	}
	return rs
}

// ParseRole is the inverse of [Role.String]. It refuses "unset".
func ParseRole(name string) (Role, error) {
	for _, r := range Roles() {
		if roleFacts[r].name == name {
			return r, nil
		}
	}
	return RoleUnset, errors.Errorf("graph: role = %q, want one of %v", name, Roles())
}

// MarshalText writes the role's name, for JSON.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role's name.
func (r *Role) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRole(string(b))
	return err
}

// MarshalText writes the class's name, for JSON.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a class's name.
func (c *Class) UnmarshalText(b []byte) error {
	for i, name := range classNames {
		if i > 0 && name == string(b) {
			*c = Class(i)
			return nil
		}
	}
	return errors.Errorf("graph: class = %q, want one of %v", b, classNames[1:])
}
