package gptblock

import (
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/op"
)

// CrossEntropy is the mean over the counted positions of
// -log softmax(logits)[target] + zloss log(Z)^2 of logits (...,V) and integer
// targets, one for each row of logits: a scalar. Positions whose target is
// [IgnoreIndex] do not count; without any counted position the loss is 0.
// zloss (PaLM, section 5) is commonly 0, or 1e-4.
//
// A graph.Program weighs micro-batches by the number of counted positions.
func CrossEntropy(logits, targets *gorgonia.Node, zloss float64) (*gorgonia.Node, error) {
	return op.CrossEntropy(logits, targets, op.LossOptions{Ignore: IgnoreIndex, ZLoss: zloss})
}

// BalanceLoss is the load-balancing loss of the routers of several mixtures of
// experts, over the tokens of all of them together, given their logits
// (...,E):
//
//	E sum_e f_e P_e
//
// f_e is the share of the tokens that have expert e among their topK, P_e the
// mean of the softmax probability of e: a scalar, topK if the load is even.
// The gradient flows through P. It is the loss of the Switch Transformer
// (Fedus et al. 2021, arXiv:2101.03961, section 2.2) for topK > 1, as Hugging
// Face defines it for Mixtral.
func BalanceLoss(topK int, logits ...*gorgonia.Node) (*gorgonia.Node, error) {
	return op.BalanceLoss(topK, logits...)
}
