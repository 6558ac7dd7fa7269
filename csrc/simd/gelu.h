// erf and GELU of float vectors by tables of polynomials, the same operations at every instruction set; objects that keep constants in registers.
// Measured bounds over all finite inputs: erf 2.1 ulp; gelu 8e-8 |x|, and 1.3 ulp where x is positive; gelu_grad 1.2e-7 dy. Infinities give
// the limits, and NaN gives NaN.
#pragma once
#include "simd/math.h"

namespace nnlite::NN_ISA {

// erf(a) in steps of 17/64; beyond the last it is 1 to float's precision.
alignas(64) static constexpr float kErf[6][16] = {
    {0.0f, 0.292823225f, 0.547528446f, 0.740236998f, 0.867058277f, 0.939653337f, 0.975797713f, 0.99145031f,
     0.997345984f, 0.999277413f, 0.999827683f, 0.999964058f, 0.999993443f, 0.999998987f, 0.999999881f, 1.0f},
    {1.12837923f, 1.05150819f, 0.850913942f, 0.59796232f, 0.364902884f, 0.193373099f, 0.088987723f, 0.0355614498f,
     0.0123408204f, 0.00371898082f, 0.000973238086f, 0.000221171693f, 4.36470873e-05f, 7.47990862e-06f, 1.11314716e-06f, 6.68913981e-06f},
    {-1.38255618e-05f, -0.279294729f, -0.452041835f, -0.47650364f, -0.387714237f, -0.256820142f, -0.14182353f, -0.0661324561f,
     -0.0262299627f, -0.00889982004f, -0.00257852394f, -0.00064435642f, -0.000136209637f, -3.89242741e-05f, -1.56287424e-05f, 0.000393012131f},
    {-0.375614405f, -0.301000863f, -0.123551808f, 0.0538140684f, 0.152992204f, 0.162939936f, 0.121027559f, 0.0701102018f,
     0.0330376923f, 0.0129298009f, 0.00425338f, 0.0011850188f, 0.000281058601f, 5.69558724e-05f, 9.88844749e-06f, 0.00829301402f},
    {-0.00603662664f, 0.131670043f, 0.182326674f, 0.137160376f, 0.048423782f, -0.0223985817f, -0.0489270315f, -0.0424692072f,
     -0.0260688961f, -0.0120293396f, -0.00520025427f, -0.00163957023f, -0.00057278818f, 0.000649662688f, 0.000632850744f, 0.0713165775f},
    {0.134690523f, 0.0735834688f, -0.00105474878f, -0.0591879189f, -0.0659724176f, -0.0369657166f, -0.00516966544f, 0.0109468494f,
     0.0124474019f, 0.00807357579f, 0.00382829178f, 0.00142865523f, 0.000433403242f, 0.000108805078f, 2.28534391e-05f, 0.214744389f},
};
// The normal distribution function of -a in steps of 13/32.
alignas(64) static constexpr float kNormalTail[6][16] = {
    {0.5f, 0.342279464f, 0.2082524f, 0.111469552f, 0.0520812757f, 0.0211148169f, 0.00739460578f, 0.00222930079f,
     0.000577025465f, 0.00012796621f, 2.42751321e-05f, 3.93395521e-06f, 5.44056491e-07f, 6.41556923e-08f, 6.44612541e-09f, 0.0f},
    {-0.398942262f, -0.367343426f, -0.286786675f, -0.189832285f, -0.106538266f, -0.050695058f, -0.0204526708f, -0.0069961464f,
     -0.00202904781f, -0.000498942449f, -0.000104024024f, -1.83883312e-05f, -2.75598632e-06f, -3.50218215e-07f, -3.77336207e-08f, -1.38075961e-07f},
    {-1.03869115e-06f, 0.0746142045f, 0.116504192f, 0.115677573f, 0.0865637138f, 0.0514885746f, 0.0249272939f, 0.00994765945f,
     0.00329702068f, 0.000911983778f, 0.00021122917f, 4.1062518e-05f, 6.71141697e-06f, 9.23480002e-07f, 1.07083842e-07f, -5.28279088e-06f},
    {0.0665089563f, 0.0511180274f, 0.0162449274f, -0.0153552685f, -0.0291316379f, -0.0264121946f, -0.0168446768f, -0.00826378167f,
     -0.00323382858f, -0.00102844113f, -0.000268748205f, -5.81152381e-05f, -1.04500905e-05f, -1.5680024e-06f, -1.96830783e-07f, -7.29327221e-05f},
    {-0.000137463052f, -0.0174615458f, -0.0225358699f, -0.0145341074f, -0.0026685081f, 0.00474512763f, 0.00607102085f, 0.00421605026f,
     0.00208972255f, 0.000797480054f, 0.000242235343f, 5.96235514e-05f, 1.20236391e-05f, 2.00108229e-06f, 2.76267343e-07f, -0.000410030829f},
    {-0.0095848674f, -0.00618277909f, 0.00121137628f, 0.00581387244f, 0.00519932853f, 0.00201035943f, -0.000430027605f, -0.00114744832f,
     -0.000864326488f, -0.000424407655f, -0.000154812529f, -4.40739896e-05f, -1.00383968e-05f, -1.8560155e-06f, -2.81210305e-07f, -0.000807332981f},
};
// The derivative of gelu at -a in steps of 13/32.
alignas(64) static constexpr float kGeluSlope[6][16] = {
    {0.5f, 0.193046227f, -0.0247617364f, -0.119888552f, -0.121043429f, -0.0818595365f, -0.0424587838f, -0.0176659897f,
     -0.0060173776f, -0.00169629033f, -0.000398321718f, -7.82386778e-05f, -1.28913262e-05f, -1.78542564e-06f, -2.08162731e-07f, 0.0f},
    {-0.797884524f, -0.674060822f, -0.384249389f, -0.09769696f, 0.0682510734f, 0.1077765f, 0.0806122944f, 0.042584952f,
     0.0173737165f, 0.00567205111f, 0.00150874956f, 0.000330431183f, 5.99851446e-05f, 9.06756668e-06f, 1.14510044e-06f, 5.11395501e-06f},
    {-2.89558329e-06f, 0.286132485f, 0.389099032f, 0.290893644f, 0.117681496f, -0.00647940394f, -0.0483932197f, -0.0406577438f,
     -0.0216394756f, -0.0085452795f, -0.00264189835f, -0.000655984855f, -0.000132712972f, -2.20750971e-05f, -3.03749744e-06f, 0.000195958855f},
    {0.26602751f, 0.175826043f, -0.00884578284f, -0.132592142f, -0.133375689f, -0.0663980246f, -0.00780563569f, 0.0149131548f,
     0.0140789924f, 0.00741248438f, 0.00278883195f, 0.000805959979f, 0.000184802018f, 3.4224955e-05f, 5.17630042e-06f, 0.00270465156f},
    {-0.00060335407f, -0.0995229259f, -0.10742484f, -0.0373852924f, 0.0286741629f, 0.0440189354f, 0.0250591729f, 0.00477583706f,
     -0.00357348402f, -0.0037545932f, -0.00192644144f, -0.00068455888f, -0.000184094883f, -3.89242959e-05f, -6.60511796e-06f, 0.0152065754f},
    {-0.0577574149f, -0.030366987f, 0.0210241787f, 0.0402050354f, 0.0208395179f, -0.00390657503f, -0.0118375402f, -0.00717309071f,
     -0.0015002602f, 0.000777946378f, 0.000828812656f, 0.000398440228f, 0.000130225017f, 3.18929524e-05f, 6.09986228e-06f, 0.0299401004f},
};
// A function of 0 <= a <= 15 width: the polynomial of degree 5 in a - k width, with k = 0 .. 15 nearest to a / width, whose coefficients are column k
// of the table.
struct Piecewise {
  Vec<float> end, inverse, step, shift = held(splat(12582912.0f));  // 1.5 * 2^23: adding it rounds and leaves k at the low end
  Table16 c0, c1, c2, c3, c4, c5;

  NN_ALWAYS Piecewise(float width, const float (&c)[6][16])
      : end(held(splat(15 * width))),
        inverse(held(splat(1 / width))),
        step(held(splat(width))),
        c0(c[0]),
        c1(c[1]),
        c2(c[2]),
        c3(c[3]),
        c4(c[4]),
        c5(c[5]) {}

  NN_ALWAYS Vec<float> at(Vec<float> a) const {
    const Vec<float> shifted = fma(a, inverse, shift);
    const Vec<float> r = fnma(shifted - shift, step, a);
    const Vec<int32_t> k = as_int(shifted);
    Vec<float> y = fma(as_float(c5[k]), r, as_float(c4[k]));
    y = fma(y, r, as_float(c3[k]));
    y = fma(y, r, as_float(c2[k]));
    y = fma(y, r, as_float(c1[k]));
    return fma(y, r, as_float(c0[k]));
  }
};

struct Erf {
  Piecewise half{17.0f / 64, kErf};
  NN_ALWAYS Vec<float> run(Vec<float> x) const { return copysign(half.at(min(half.end, abs(x))), x); }
};

// Both halves of the normal distribution come from the tail below -|x|, which loses no digits; from -6 on it counts as 0.
constexpr float kNormalWidth = 13.0f / 32;

// x times the normal distribution function of x.
struct Gelu {
  Piecewise tail{kNormalWidth, kNormalTail};
  NN_ALWAYS Vec<float> run(Vec<float> x) const {
    const Vec<float> a = min(tail.end, abs(x));
    return fnma(a, tail.at(a), max(x, Vec<float>::zero()));
  }
};

// dy times the derivative of gelu at x.
struct GeluGrad {
  Piecewise half{kNormalWidth, kGeluSlope};
  Vec<float> one = held(splat(1.0f));
  NN_ALWAYS Vec<float> run(Vec<float> dy, Vec<float> x) const {
    const Vec<float> y = half.at(min(half.end, abs(x)));
    return dy * select(x < Vec<float>::zero(), y, one - y);
  }
};

}  // namespace nnlite::NN_ISA
