package kernel

import "os"

// level orders the implementations of a kernel: each one's instruction set
// includes the one before. Only amd64 without the build tag purego has more
// than portable.
type level int

const (
	portable level = iota
	avx2           // AVX2 and FMA: Haswell, Zen, and later
	avx512         // AVX-512 F, BW, DQ and VL: Skylake-X, Zen 4, and later
)

var levelNames = []string{portable: "portable", avx2: "avx2", avx512: "avx512"}

func (l level) String() string { return levelNames[l] }

// CPUVariable names the environment variable that caps the instruction set:
// portable (no assembly at all), avx2 or avx512. It is read once, at start;
// asking for more than the processor has is no error. Any other name is told
// once on standard error and otherwise ignored: a misspelt variable must not
// end a program that merely imports this package.
const CPUVariable = "GORGET_CPU"

// InstructionSet returns the name of the instruction set in use: portable,
// avx2 or avx512.
func InstructionSet() string { return currentLevel().String() }

// startLevel is what the processor has, capped by the environment.
func startLevel() level {
	name, set := os.LookupEnv(CPUVariable)
	if !set || name == "" {
		return processorLevel()
	}
	for l, known := range levelNames {
		if name == known {
			return min(level(l), processorLevel())
		}
	}
	os.Stderr.WriteString("kernel: " + CPUVariable + " = " + name + ", want portable, avx2 or avx512: ignored\n")
	return processorLevel()
}
