package kernel

import (
	"math/rand/v2"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVecStaysInside puts every operand between forbidden pages.
func TestVecStaysInside(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	const rows, largest = 2, 131
	for _, atEnd := range []bool{false, true} {
		r := rand.New(rand.NewPCG(15, 16))
		var rooms [][]float32 // mapped until the whole test ends
		room := func(i int) []float32 {
			if i == len(rooms) {
				rooms = append(rooms, walled[float32](t, r, 3*rows*largest, atEnd))
			}
			return rooms[i]
		}
		eachImpl(t, func(t *testing.T) {
			for cols := 1; cols <= largest; cols++ {
				next := 0
				operand := func(n int) []float32 {
					x := room(next)
					next++
					if atEnd {
						return x[len(x)-n:]
					}
					return x[:n]
				}
				require.NotPanics(t, func() { runVec(rows, cols, operand) }, "cols = %d", cols)
			}
		})
	}
}
