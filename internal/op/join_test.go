package op

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
)

// Where gradients are joined, Gorgonia has none left to add.
func TestJoinedGradientsNeedNoAddition(t *testing.T) {
	joined := map[string]bool{
		"Residual/LayerNorm": true, "Residual/RMSNorm": true, "LinearCrossEntropy/tied": true,
		"Residual/norm not in the branch": false, "Residual/two of one norm": false,
	}
	for _, c := range opCases() {
		want, ok := joined[c.name]
		if !ok {
			continue
		}
		delete(joined, c.name)
		r := newRig[float32](t, c, nil)
		_, err := gorgonia.Grad(r.cost, r.wrt()...)
		require.NoError(t, err)
		additions := 0
		for _, n := range r.g.AllNodes() {
			if n.Op() != nil && strings.HasPrefix(n.Op().String(), "+") {
				additions++
			}
		}
		require.Equal(t, want, additions == 0, "%s: %d additions", c.name, additions)
	}
	require.Empty(t, joined, "cases that do not exist")
}
