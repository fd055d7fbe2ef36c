package kernel_test

import (
	"fmt"

	"github.com/gorget/gorget/internal/kernel"
)

// One step of a linear layer by hand: the product, its gradient, the update.
func Example() {
	x := []float32{1, 2, 3, 4}     // (2,2) activations
	w := []float32{0.5, 0, 0, 0.5} // (2,2) weights
	y := make([]float32, 4)
	kernel.Gemm(false, false, 2, 2, 2, 1, x, 2, w, 2, 0, y, 2)
	fmt.Println("y =", y)

	dy := []float32{1, 0, 0, 1}
	dw := make([]float32, 4)
	kernel.Gemm(true, false, 2, 2, 2, 1, x, 2, dy, 2, 0, dw, 2) // x^T dy
	fmt.Println("dw =", dw, "squared norm", kernel.SumSquares(dw))

	m, v := make([]float32, 4), make([]float32, 4)
	kernel.AdamW(w, dw, m, v, nil, kernel.AdamWParams{
		Decay: 1 - 0.1*0.01, Beta1: 0.9, Beta2: 0.999, GradScale: 1,
		StepSize: 0.1 / (1 - 0.9), InvSqrtBC2: 31.622776, Eps: 1e-8,
	})
	fmt.Printf("w = %.3f\n", w)

	// Output:
	// y = [0.5 1 1.5 2]
	// dw = [1 3 2 4] squared norm 30
	// w = [0.400 -0.100 -0.100 0.400]
}
