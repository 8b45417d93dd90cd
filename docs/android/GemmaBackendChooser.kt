// Chooses a Gemma model file and backend at start-up from the table that `gemmafit allowlist --format app` writes,
// and falls back (GPU to CPU, int8 to int4, smaller model) when initialisation fails. Copy it into your app; it needs
// nothing but Android's own org.json.

package gemmafit

import org.json.JSONArray
import org.json.JSONObject

/** What the table is matched against: Build.BRAND, DEVICE, SOC_MANUFACTURER, SOC_MODEL, VERSION.SDK_INT and totalMem. */
data class PhoneFacts(
    val brand: String,
    val device: String,
    val socManufacturer: String?,
    val socModel: String?,
    val sdk: Int,
    val ramBytes: Long
)

/** One thing to try: a model file on a backend ("opencl" is the GPU, "cpu" the CPU). */
data class Attempt(val variant: String, val file: String, val backend: String)

/** An engine that started, with what failed before it. */
class Started<T>(val engine: T, val attempt: Attempt, val failures: List<Pair<Attempt, Throwable>>)

/** Nothing started: every attempt with its reason. */
class NothingStarted(val failures: List<Pair<Attempt, Throwable>>) :
    Exception("no Gemma backend started: " + failures.joinToString { "${it.first.variant} on ${it.first.backend}: ${it.second.message}" })

class GemmaBackendChooser(table: String) {
    private val rules: JSONArray

    init {
        val root = JSONObject(table)
        require(root.getString("schema") == SCHEMA) { "unknown allowlist schema ${root.getString("schema")}" }
        rules = root.getJSONArray("rules")
    }

    /** The attempts of the first rule that matches, in order; null if no rule knows this phone. Empty: nothing works here. */
    fun attempts(phone: PhoneFacts): List<Attempt>? {
        for (i in 0 until rules.length()) {
            val rule = rules.getJSONObject(i)
            if (matches(rule.getJSONObject("match"), phone)) {
                val steps = rule.getJSONArray("attempts")
                return (0 until steps.length()).map { steps.getJSONObject(it) }
                    .map { Attempt(it.getString("variant"), it.getString("file"), it.getString("backend")) }
            }
        }
        return null
    }

    private fun matches(match: JSONObject, phone: PhoneFacts): Boolean =
        equal(match, "brand", phone.brand) &&
            equal(match, "device", phone.device) &&
            equal(match, "socManufacturer", phone.socManufacturer) &&
            equal(match, "socModel", phone.socModel) &&
            phone.sdk >= match.optInt("sdkMin", 0) &&
            phone.ramBytes >= match.optLong("ramMinBytes", 0)

    private fun equal(match: JSONObject, key: String, value: String?): Boolean =
        !match.has(key) || match.getString(key) == value

    companion object {
        const val SCHEMA = "gemmafit.app-allowlist/1"

        /**
         * Starts the first attempt that works. [open] creates the engine and must run one token: some drivers compile
         * a model and fail at its first use. It blocks and cannot be interrupted, so call this off the main thread.
         */
        fun <T> start(attempts: List<Attempt>, open: (Attempt) -> T): Started<T> {
            val failures = mutableListOf<Pair<Attempt, Throwable>>()
            for (attempt in attempts) {
                try {
                    return Started(open(attempt), attempt, failures)
                } catch (error: Exception) {
                    failures += attempt to error
                } catch (error: UnsatisfiedLinkError) { // a missing library is a reason to fall back, not to crash
                    failures += attempt to error
                }
            }
            throw NothingStarted(failures)
        }
    }
}
