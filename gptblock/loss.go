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
