package kernel

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// eachImpl runs a test once for every implementation that this machine can
// run, as subtests named after the instruction set.
func eachImpl(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	start := currentLevel()
	defer setLevel(start)
	for l := portable; l <= processorLevel(); l++ {
		setLevel(l)
		t.Run(l.String(), test)
	}
}

func TestEachImplSelects(t *testing.T) {
	var seen []string
	eachImpl(t, func(t *testing.T) {
		seen = append(seen, InstructionSet())
		assert.Equal(t, currentLevel() >= avx2, useAVX2)
		assert.Equal(t, currentLevel() >= avx512, useAVX512)
	})
	assert.Equal(t, levelNames[:processorLevel()+1], seen)
}

// TestCPUVariable starts this test binary again under each setting.
func TestCPUVariable(t *testing.T) {
	if want, child := os.LookupEnv("KERNEL_TEST_WANT_LEVEL"); child {
		assert.Equal(t, want, InstructionSet())
		return
	}
	start := func(value, want string) ([]byte, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCPUVariable$")
		cmd.Env = append(os.Environ(), CPUVariable+"="+value, "KERNEL_TEST_WANT_LEVEL="+want)
		return cmd.CombinedOutput()
	}
	best := processorLevel()
	for value, want := range map[string]level{
		"": best, "portable": portable, "avx2": min(avx2, best), "avx512": min(avx512, best),
	} {
		output, err := start(value, want.String())
		assert.NoError(t, err, "%s", output)
	}
	output, err := start("sse9", best.String())
	assert.NoError(t, err, "%s", output)
	assert.Equal(t, 1, strings.Count(string(output), "kernel: GORGET_CPU = sse9, want portable, avx2 or avx512: ignored"))
}
