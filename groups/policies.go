package groups

import (
	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
)

// GPT2Policy is what nanoGPT's reproduction of GPT-2 does: matrices and
// embeddings decay, everything else does not. GPT-2's own paper and code say
// nothing about weight decay.
func GPT2Policy() Policy {
	const source = "karpathy/nanoGPT@3adf61e model.py, configure_optimizers: parameters of rank >= 2 decay"
	return twoGroups("gpt2", source,
		Rule{Class: graph.ClassMatrix, Group: Decay, Why: "matrices decay"},
		Rule{Class: graph.ClassEmbedding, Group: Decay, Why: "embeddings are of rank 2 and decay"},
		exempt(graph.ClassBias, "biases do not decay"),
		exempt(graph.ClassNorm, "norm parameters do not decay"),
		exempt(graph.ClassScalar, "scalars do not decay"),
	)
}

// MinGPTPolicy is minGPT's: the matrices of linear layers decay; embeddings
// are exempt too. A head that is tied to the token embedding is exempt with it.
func MinGPTPolicy() Policy {
	const source = "karpathy/minGPT@37baab7 model.py, configure_optimizers: only weights of Linear decay, LayerNorm and Embedding are blacklisted"
	return twoGroups("mingpt", source,
		Rule{Class: graph.ClassMatrix, Group: Decay, Why: "weights of linear layers decay"},
		exempt(graph.ClassEmbedding, "embeddings are blacklisted"),
		exempt(graph.ClassBias, "biases do not decay"),
		exempt(graph.ClassNorm, "norm parameters are blacklisted"),
		exempt(graph.ClassScalar, "scalars are not weights of a linear layer"),
	)
}

// MegatronPolicy is Megatron-LM's default: biases and parameters of rank 1 are
// exempt, which for a GPT model leaves matrices and embeddings to decay. Its
// option apply_wd_to_qk_layernorm is two overrides that send
// graph.QueryNormGain and graph.KeyNormGain to Decay.
func MegatronPolicy() Policy {
	const source = "NVIDIA/Megatron-LM@0044db1 megatron/core/optimizer, get_standard_config_overrides: no decay if the name ends in .bias or the rank is 1"
	return twoGroups("megatron", source,
		Rule{Class: graph.ClassMatrix, Group: Decay, Why: "rank 2, not a bias"},
		Rule{Class: graph.ClassEmbedding, Group: Decay, Why: "rank 2, not a bias"},
		exempt(graph.ClassBias, "biases are exempt"),
		exempt(graph.ClassNorm, "norm parameters are of rank 1 and exempt"),
		exempt(graph.ClassScalar, "parameters of rank <= 1 are exempt"),
	)
}

// GPT1Policy is GPT-1's: "all non bias or gain weights" decay, the embeddings
// among them.
func GPT1Policy() Policy {
	const source = "Radford et al. 2018, section 4.1: modified L2 on all non bias or gain weights; openai/finetune-transformer-lm@a69b5c4 opt.py: rank > 1"
	return twoGroups("gpt1", source,
		Rule{Class: graph.ClassMatrix, Group: Decay, Why: "neither bias nor gain"},
		Rule{Class: graph.ClassEmbedding, Group: Decay, Why: "neither bias nor gain"},
		exempt(graph.ClassBias, "biases are exempt"),
		exempt(graph.ClassNorm, "gains and biases are exempt"),
		exempt(graph.ClassScalar, "parameters of rank <= 1 are exempt"),
	)
}

// DecayAllPolicy decays every parameter, norms and biases included. It has one
// group.
func DecayAllPolicy() Policy {
	return oneGroup("decay_all", "torch.optim.AdamW(model.parameters()) and t5x's Adafactor, which know no exemptions",
		GroupSpec{Name: Decay}, "everything decays")
}

// DecayNonePolicy decays nothing. It has one group, with weight decay 0.
func DecayNonePolicy() Policy {
	return oneGroup("decay_none", "the control of an experiment",
		GroupSpec{Name: NoDecay, Settings: Settings{WeightDecay: Value(0)}}, "nothing decays")
}

// Policies lists the policies of this package.
func Policies() []Policy {
	return []Policy{GPT2Policy(), MinGPTPolicy(), MegatronPolicy(), GPT1Policy(), DecayAllPolicy(), DecayNonePolicy()}
}

// PolicyNamed finds a policy of this package by its Name, such as "gpt2".
func PolicyNamed(name string) (Policy, error) {
	var names []string
	for _, p := range Policies() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Policy{}, errors.Errorf("groups: policy = %q, want one of %v", name, names)
}

func twoGroups(name, source string, rules ...Rule) Policy {
	return Policy{
		Name: name, Source: source, Rules: rules,
		Groups: []GroupSpec{{Name: Decay}, {Name: NoDecay, Settings: Settings{WeightDecay: Value(0)}}},
	}
}

func oneGroup(name, source string, spec GroupSpec, why string) Policy {
	p := Policy{Name: name, Source: source, Groups: []GroupSpec{spec}}
	for c := graph.ClassMatrix; c <= graph.ClassScalar; c++ {
		p.Rules = append(p.Rules, Rule{Class: c, Group: spec.Name, Why: why})
	}
	return p
}

func exempt(c graph.Class, why string) Rule { return Rule{Class: c, Group: NoDecay, Why: why} }
